-- ledger.post: the one way money moves. A batch goes in, one outcome per transfer comes out, in input order.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The rare half of ledger.post: a key or an id of the batch is already stored, or appears in it twice.
-- Says for each such transfer what it is. `outcome` is set where the books decide; `repeats` is the earlier
-- transfer of the batch that decides for this one, which is its equal only if `alike`.
CREATE FUNCTION ledger.recognise(batch jsonb)
    RETURNS TABLE (ordinal integer, outcome text, transfer_id uuid, repeats integer, alike boolean)
    LANGUAGE sql STABLE
    SET search_path = ''
AS $$
    WITH given AS (
        SELECT t.ordinal::integer AS ordinal, t.id, t.key, t.kind, t.event_at,
               coalesce(t.metadata, '{}') AS metadata,
               least(
                   min(t.ordinal) OVER (PARTITION BY t.key),
                   min(t.ordinal) OVER (PARTITION BY t.id)
               )::integer AS first,
               -- Entries are compared as a set: their order is not what the transfer says.
               (SELECT array_agg(e.said ORDER BY e.said)
                  FROM (SELECT concat_ws(' ', (j.pair ->> 0)::uuid, (j.pair ->> 1)::bigint)
                          FROM jsonb_array_elements(t.entries) AS j (pair)) AS e (said)) AS content
          FROM ROWS FROM (
                   jsonb_to_recordset(batch)
                   AS (id uuid, key text, kind text, event_at timestamptz, metadata jsonb, entries jsonb)
               ) WITH ORDINALITY AS t (id, key, kind, event_at, metadata, entries, ordinal)
    )
    SELECT g.ordinal,
           CASE
               WHEN s.id IS NULL THEN NULL
               WHEN s.key = g.key
                    AND (s.kind, s.event_at, s.metadata) = (g.kind, g.event_at, g.metadata)
                    AND g.content = (
                        SELECT array_agg(e.said ORDER BY e.said)
                          FROM (SELECT concat_ws(' ', x.account_id, x.amount_cents)
                                  FROM ledger.entries AS x
                                 WHERE x.transfer_id = s.id) AS e (said)
                    )
               THEN 'exists'
               ELSE 'key_conflict'
           END,
           s.id,
           f.ordinal,
           (f.key, f.kind, f.event_at, f.metadata, f.content) = (g.key, g.kind, g.event_at, g.metadata, g.content)
      FROM given AS g
      LEFT JOIN given AS f ON f.ordinal = g.first AND g.first < g.ordinal
      -- The key speaks first. Only under a new key does it matter whose id this is.
      LEFT JOIN LATERAL (
               SELECT x.id, x.key, x.kind, x.event_at, x.metadata
                 FROM ledger.transfers AS x
                WHERE x.key = g.key OR x.id = g.id
                ORDER BY x.key = g.key DESC
                LIMIT 1
           ) AS s ON true
     WHERE s.id IS NOT NULL OR f.ordinal IS NOT NULL
$$;
ALTER FUNCTION ledger.recognise(jsonb) OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.recognise(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION ledger.recognise(jsonb) IS 'Which transfers of a batch are already known, by key or id. For ledger.post alone.';

-- Between ledger.post's look at the keys and its insert, another transaction may have posted one of them.
-- This batch was then decided on a view that is no longer true: it must be decided again from the start.
CREATE FUNCTION ledger.ensure_claimed(claimed bigint, wanted bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = ''
AS $$
BEGIN
    IF claimed <> wanted THEN
        RAISE EXCEPTION 'another transaction posted one of these keys first; run the unit of work again'
            USING ERRCODE = '40001';
    END IF;
    RETURN true;
END
$$;
ALTER FUNCTION ledger.ensure_claimed(bigint, bigint) OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.ensure_claimed(bigint, bigint) FROM PUBLIC;

-- batch: [{"id", "key", "kind", "event_at", "metadata", "entries": [[account_id, amount_cents], ...]}, ...]
-- outcome: posted | exists | key_conflict | insufficient_funds | unknown_account | closed_account
--
-- A refusal is decided before anything is written, stores nothing and leaves its neighbours alone. A batch
-- that no caller should ever build (not summing to zero, one entry, a null) raises 22023 as a whole.
--
-- Names: t_ one element per transfer, e_ per entry, a_ per account. The decision runs over plain arrays,
-- because it must go in input order: each transfer sees the balances that its predecessors left.
--
-- Plans that read a whole table are off because a connection keeps the plans it made: one made while a table
-- was small, or for a large batch, would go on reading all of it. Every statement here, and every guard it
-- sets off, finds its rows by a key.
CREATE FUNCTION ledger.post(batch jsonb)
    RETURNS TABLE (ordinal integer, outcome text, transfer_id uuid)
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = ''
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    t_id        uuid[];
    t_key       text[];
    t_kind      text[];
    t_event_at  timestamptz[];
    t_metadata  jsonb[];
    t_entries   jsonb[];
    t_outcome   text[];
    t_result    uuid[];    -- the transfer that stands for this one
    t_repeats   integer[]; -- the earlier transfer of this batch that decides for this one
    t_alike     boolean[];
    e_transfer  bigint[];
    e_account   uuid[];
    e_slot      bigint[];  -- where the entry's account is in a_
    e_amount    bigint[];
    e_previous  bigint[];
    e_current   bigint[];
    e_version   bigint[];
    a_id        uuid[];
    a_refusal   text[];    -- why nothing can post here; null where it can
    a_sign      integer[]; -- 1: never below zero, -1: never above
    a_balance   bigint[];  -- null for a system account: it has no balance row and no bound
    a_version   bigint[];
    known       boolean;
    repeated    boolean;
    verdict     text;
    total       bigint;
    first       integer;
    slot        bigint;
    e           integer := 1;
    posting     bigint := 0;
    moment      timestamptz;
    limited_to  uuid := ledger.calling_saver_id();
BEGIN
    SELECT array_agg(t.id ORDER BY t.n), array_agg(t.key ORDER BY t.n), array_agg(t.kind ORDER BY t.n),
           array_agg(t.event_at ORDER BY t.n), array_agg(coalesce(t.metadata, '{}') ORDER BY t.n),
           array_agg(t.entries ORDER BY t.n),
           count(DISTINCT t.key) < count(*) OR count(DISTINCT t.id) < count(*)
      INTO t_id, t_key, t_kind, t_event_at, t_metadata, t_entries, repeated
      FROM ROWS FROM (
               jsonb_to_recordset(batch)
               AS (id uuid, key text, kind text, event_at timestamptz, metadata jsonb, entries jsonb)
           ) WITH ORDINALITY AS t (id, key, kind, event_at, metadata, entries, n);
    IF t_id IS NULL THEN
        RETURN;
    END IF;

    SELECT array_agg(p.transfer ORDER BY p.transfer, p.n), array_agg(p.account_id ORDER BY p.transfer, p.n),
           array_agg(p.slot ORDER BY p.transfer, p.n), array_agg(p.amount_cents ORDER BY p.transfer, p.n)
      INTO e_transfer, e_account, e_slot, e_amount
      FROM (
               SELECT t.n AS transfer, j.n, j.account_id, j.amount_cents,
                      dense_rank() OVER (ORDER BY j.account_id) AS slot
                 FROM unnest(t_entries) WITH ORDINALITY AS t (entries, n)
                CROSS JOIN LATERAL (
                          SELECT (x.pair ->> 0)::uuid, (x.pair ->> 1)::bigint, x.n
                            FROM jsonb_array_elements(t.entries) WITH ORDINALITY AS x (pair, n)
                      ) AS j (account_id, amount_cents, n)
           ) AS p;
    IF array_position(t_id, NULL) IS NOT NULL OR array_position(t_key, NULL) IS NOT NULL
        OR array_position(t_kind, NULL) IS NOT NULL OR array_position(t_event_at, NULL) IS NOT NULL
        OR array_position(e_account, NULL) IS NOT NULL OR array_position(e_amount, NULL) IS NOT NULL
        OR array_position(e_amount, 0) IS NOT NULL OR e_amount IS NULL
    THEN
        RAISE EXCEPTION 'a transfer of the batch lacks its id, key, kind, time, entries, or an amount other than zero'
            USING ERRCODE = '22023';
    END IF;

    -- Lock in one order, everywhere, by id. What is read from here on is read by new statements, so it is
    -- what the previous holder of the locks left behind.
    SELECT array_agg(DISTINCT x.account_id) INTO a_id FROM unnest(e_account) AS x (account_id);
    PERFORM FROM ledger.balances AS b WHERE b.account_id = ANY (a_id) ORDER BY b.account_id FOR NO KEY UPDATE;

    SELECT array_agg(
               CASE
                   -- A saver's request moves that saver's own money, and lets it leave. It makes none.
                   WHEN a.id IS NULL OR (
                       limited_to IS NOT NULL AND a.saver_id IS DISTINCT FROM limited_to AND a.kind <> 'in_flight'
                   ) THEN 'unknown_account'
                   WHEN a.closed_at IS NOT NULL THEN 'closed_account'
               END
               ORDER BY x.n
           ),
           array_agg(CASE b.kind WHEN 'receivable' THEN -1 ELSE 1 END ORDER BY x.n),
           array_agg(b.balance_cents ORDER BY x.n),
           array_agg(b.version ORDER BY x.n)
      INTO a_refusal, a_sign, a_balance, a_version
      FROM unnest(a_id) WITH ORDINALITY AS x (account_id, n)
      LEFT JOIN ledger.accounts AS a ON a.id = x.account_id
      LEFT JOIN ledger.balances AS b ON b.account_id = x.account_id;

    t_outcome := array_fill(NULL::text, ARRAY[cardinality(t_id)]);
    t_result := array_fill(NULL::uuid, ARRAY[cardinality(t_id)]);
    known := EXISTS (SELECT FROM ledger.transfers AS x WHERE x.key = ANY (t_key))
             OR EXISTS (SELECT FROM ledger.transfers AS x WHERE x.id = ANY (t_id));
    IF known OR repeated THEN
        SELECT array_agg(r.outcome ORDER BY x.n), array_agg(r.transfer_id ORDER BY x.n),
               array_agg(r.repeats ORDER BY x.n), array_agg(r.alike ORDER BY x.n)
          INTO t_outcome, t_result, t_repeats, t_alike
          FROM generate_series(1, cardinality(t_id)) AS x (n)
          LEFT JOIN ledger.recognise(batch) AS r ON r.ordinal = x.n;
    END IF;

    e_previous := array_fill(NULL::bigint, ARRAY[cardinality(e_amount)]);
    e_current := e_previous;
    e_version := e_previous;
    FOR t IN 1 .. cardinality(t_id) LOOP
        verdict := 'posted';
        total := 0;
        first := e;
        WHILE e_transfer[e] = t LOOP
            total := total + e_amount[e];
            IF verdict <> 'unknown_account' AND a_refusal[e_slot[e]] IS NOT NULL THEN
                verdict := a_refusal[e_slot[e]];
            END IF;
            e := e + 1;
        END LOOP;
        IF total <> 0 OR e - first < 2 THEN
            RAISE EXCEPTION 'transfer % must be two or more entries that sum to zero', t_key[t] USING ERRCODE = '22023';
        END IF;

        IF t_outcome[t] IS NOT NULL THEN
            CONTINUE;
        ELSIF t_repeats[t] IS NOT NULL THEN
            verdict := t_outcome[t_repeats[t]];
            t_outcome[t] := CASE WHEN NOT t_alike[t] THEN 'key_conflict' WHEN verdict = 'posted' THEN 'exists' ELSE verdict END;
            t_result[t] := t_result[t_repeats[t]];
            CONTINUE;
        END IF;

        FOR i IN first .. e - 1 LOOP
            EXIT WHEN verdict <> 'posted';
            slot := e_slot[i];
            CONTINUE WHEN a_balance[slot] IS NULL;
            e_previous[i] := a_balance[slot];
            e_current[i] := a_balance[slot] + e_amount[i];
            e_version[i] := a_version[slot] + 1;
            a_balance[slot] := e_current[i];
            a_version[slot] := e_version[i];
            IF a_balance[slot] * a_sign[slot] < 0 THEN
                verdict := 'insufficient_funds';
                FOR j IN REVERSE i .. first LOOP
                    CONTINUE WHEN e_version[j] IS NULL;
                    a_balance[e_slot[j]] := e_previous[j];
                    a_version[e_slot[j]] := e_version[j] - 1;
                END LOOP;
            END IF;
        END LOOP;

        t_outcome[t] := verdict;
        IF verdict = 'posted' THEN
            posting := posting + 1;
            t_result[t] := t_id[t];
        END IF;
    END LOOP;

    -- One statement, because its guards look at the whole: a transfer and its entries, an entry and its balance.
    -- One moment for all of it, taken under the locks: by posted_at, an account's entries are in version order.
    IF posting > 0 THEN
        moment := clock_timestamp();
        WITH claimed AS (
            -- Sorted, so that two batches that meet on several keys wait for each other in one direction.
            INSERT INTO ledger.transfers (id, key, kind, event_at, posted_at, metadata)
            SELECT x.id, x.key, x.kind, x.event_at, moment, x.metadata
              FROM unnest(t_id, t_key, t_kind, t_event_at, t_metadata, t_outcome) AS x (id, key, kind, event_at, metadata, outcome)
             WHERE x.outcome = 'posted'
             ORDER BY x.key
                ON CONFLICT DO NOTHING
            RETURNING 1
        ), moved AS (
            UPDATE ledger.balances AS b SET balance_cents = x.balance_cents, version = x.version
              FROM unnest(a_id, a_balance, a_version) AS x (account_id, balance_cents, version)
             WHERE b.account_id = x.account_id AND b.version < x.version
        )
        INSERT INTO ledger.entries (transfer_id, account_id, amount_cents, account_previous_cents, account_current_cents, account_version)
        SELECT t_id[x.transfer], x.account_id, x.amount_cents, x.previous_cents, x.current_cents, x.version
          FROM unnest(e_transfer, e_account, e_amount, e_previous, e_current, e_version)
               WITH ORDINALITY AS x (transfer, account_id, amount_cents, previous_cents, current_cents, version, n)
         WHERE t_outcome[x.transfer] = 'posted'
           AND ledger.ensure_claimed((SELECT count(*) FROM claimed), posting)
         ORDER BY x.n;
    END IF;

    RETURN QUERY
        SELECT x.n::integer, x.outcome, x.transfer_id
          FROM unnest(t_outcome, t_result) WITH ORDINALITY AS x (outcome, transfer_id, n)
         ORDER BY x.n;
END
$$;
ALTER FUNCTION ledger.post(jsonb) OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.post(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.post(jsonb) TO zanari_api, zanari_system;
COMMENT ON FUNCTION ledger.post(jsonb) IS 'Posts a batch of transfers, the only write path into the books; one outcome per transfer, in input order.';
