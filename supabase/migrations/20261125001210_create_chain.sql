-- The chain: each transfer with its entries, and each line of the audit log, is sealed by a hash that includes the
-- seal before it. Who changes, removes or adds something later cannot do so without every later seal changing too.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Sealing walks the transfers in the order of their transactions. New ones are at the right end of this index.
-- On a database that is already large, build it beforehand with CREATE INDEX CONCURRENTLY: then this does nothing.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS transfers_in_order ON ledger.transfers (xact, id);
DO $$
BEGIN
    IF NOT (SELECT i.indisvalid FROM pg_index AS i WHERE i.indexrelid = 'ledger.transfers_in_order'::regclass) THEN
        RAISE EXCEPTION 'the index ledger.transfers_in_order was not built to its end'
            USING HINT = 'DROP INDEX CONCURRENTLY ledger.transfers_in_order, build it again, then migrate again.';
    END IF;
END
$$;

-- Seals ---------------------------------------------------------------------------------------------------
CREATE TABLE ledger.seals (
    seq        bigint NOT NULL,
    sealed_at  timestamptz NOT NULL,
    subject_id uuid NOT NULL,
    kind       text NOT NULL,
    digest     bytea NOT NULL,
    hash       bytea NOT NULL,

    CONSTRAINT seals_pkey PRIMARY KEY (seq),
    CONSTRAINT seals_subject_unique UNIQUE (subject_id, kind),
    CONSTRAINT seals_seq_counts CHECK (seq >= 1),
    CONSTRAINT seals_kind_known CHECK (kind IN (
        'transfer', -- a transfer with its entries, and what their accounts are
        'act',      -- a line of the audit log
        'restore',  -- from here everything is walked again, in another cluster: which, and where that stood
        'restored'  -- that walk is over, and the usual one goes on from where the cluster stood
    )),
    CONSTRAINT seals_digest_sized CHECK (octet_length(digest) = 32),
    CONSTRAINT seals_hash_sized CHECK (octet_length(hash) = 32)
);
ALTER TABLE ledger.seals OWNER TO zanari_ledger_owner;
ALTER TABLE ledger.seals ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON ledger.seals TO zanari_system;
CREATE POLICY seals_all ON ledger.seals FOR SELECT TO zanari_system USING (true);

CREATE TRIGGER seals_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.seals
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

COMMENT ON TABLE ledger.seals IS 'The hash chain over transfers and the audit log. Written by ledger.seal and nothing else; zanari ledger verify proves it.';
COMMENT ON COLUMN ledger.seals.seq IS 'Counts from 1 without a gap. Its own, and no sequence''s: a dump and restore keeps it.';
COMMENT ON COLUMN ledger.seals.digest IS 'SHA-256 over every field of what is sealed, each with its length before it (zanari_api/ledger/chain.py).';
COMMENT ON COLUMN ledger.seals.hash IS 'SHA-256 over the hash before and this seal''s own fields, each with its length before it.';

-- How far sealing has come -----------------------------------------------------------------------------------
-- One row. Every row of a transaction below pg_snapshot_xmin is final, so (xact, id) is a position that nothing can
-- appear behind. Transaction ids belong to one cluster: after a restore they start over, and then everything is walked
-- again from the beginning, passing over what has a seal (`restored_from` is where the new cluster stood when that
-- began, and from where the usual walk goes on). The walk is sealed as well, where it begins and where it ends: seals
-- go back behind the last one's position there and nowhere else, so this row cannot be set back unseen.
CREATE TABLE ledger.sealing (
    id            smallint NOT NULL,
    cluster_id    bigint,
    restored_from xid8,
    transfer_xact xid8 NOT NULL DEFAULT '0',
    transfer_id   uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    act_xact      xid8 NOT NULL DEFAULT '0',
    act_id        uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    length        bigint NOT NULL DEFAULT 0,
    hash          bytea NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000',

    CONSTRAINT sealing_pkey PRIMARY KEY (id),
    CONSTRAINT sealing_only_one CHECK (id = 1)
) WITH (fillfactor = 10); -- one row that is rewritten every few seconds
ALTER TABLE ledger.sealing OWNER TO zanari_ledger_owner;
ALTER TABLE ledger.sealing ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON ledger.sealing TO zanari_system;
CREATE POLICY sealing_all ON ledger.sealing FOR SELECT TO zanari_system USING (true);
INSERT INTO ledger.sealing (id) VALUES (1);

CREATE TRIGGER sealing_never_deleted
    BEFORE DELETE OR TRUNCATE ON ledger.sealing
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

COMMENT ON TABLE ledger.sealing IS 'Where sealing stands: the last transfer and line that it passed, and the head of the chain. Also the lock of whoever seals.';
COMMENT ON COLUMN ledger.sealing.cluster_id IS 'Which cluster the positions are of; null before the first sealing.';

-- Seals what no running transaction can add to, up to so many rows. outcome:
--   sealed   `looked_at` rows were passed and `sealed` of them, those without a seal, were sealed; call again until 0
--   busy     another session is sealing
--   differs  the last seal is not the head as it was left: nothing is sealed on top of it
--
-- A field is its length as four bytes and then its bytes; a null is the length -1. Numbers, ids and times are as
-- Postgres sends them (big-endian; microseconds since 2000). zanari_api/ledger/chain.py computes the same from the
-- rows, without this function.
CREATE FUNCTION ledger.seal(rows_max integer)
    RETURNS TABLE (outcome text, looked_at integer, sealed integer)
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = ''
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    state     ledger.sealing;
    cluster   bigint := ledger.cluster_id();
    restoring boolean;
    mark_id   uuid;     -- of the walk over what was restored: the cluster, and where it stood
    marks     text[] := ARRAY[]::text[];
    last_seq  bigint;
    last_hash bytea;
    moment    timestamptz;
    c_kind    text[];   -- the candidates, in order
    c_id      uuid[];
    c_xact    xid8[];
    s_kind    text[];   -- those of them to be sealed
    s_id      uuid[];
    s_digest  bytea[];
    s_hash    bytea[];
    first     bigint;
BEGIN
    IF rows_max IS NULL OR rows_max NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'ledger.seal takes 1 to 10000 rows, not %', coalesce(rows_max::text, 'null')
            USING ERRCODE = '22023';
    END IF;
    SELECT * INTO state FROM ledger.sealing AS s WHERE s.id = 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'busy', 0, 0;
        RETURN;
    END IF;
    SELECT s.seq, s.hash INTO last_seq, last_hash FROM ledger.seals AS s ORDER BY s.seq DESC LIMIT 1;
    IF state.length <> coalesce(last_seq, 0) OR (last_seq IS NOT NULL AND state.hash IS DISTINCT FROM last_hash) THEN
        RETURN QUERY SELECT 'differs', 0, 0;
        RETURN;
    END IF;

    IF state.cluster_id IS DISTINCT FROM cluster THEN
        state.cluster_id := cluster;
        state.restored_from := pg_snapshot_xmin(pg_current_snapshot());
        state.transfer_xact := '0';
        state.transfer_id := '00000000-0000-0000-0000-000000000000';
        state.act_xact := state.transfer_xact;
        state.act_id := state.transfer_id;
        -- Where nothing is sealed and nothing was restored, the walk is the usual one.
        IF state.length > 0
           OR EXISTS (SELECT FROM ledger.transfers AS t WHERE t.xact > greatest(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id()))
           OR EXISTS (SELECT FROM runtime.audit_log AS a WHERE a.xact > greatest(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id()))
        THEN
            marks := ARRAY['restore'];
        END IF;
    END IF;
    restoring := state.restored_from IS NOT NULL;
    mark_id := encode(int8send(cluster) || xid8send(state.restored_from), 'hex')::uuid;

    -- What is visible though this cluster has not come to its transaction yet was restored, and is as final.
    WITH candidates AS (
        (SELECT 'transfer' AS kind, t.id, t.xact
           FROM ledger.transfers AS t
          WHERE (t.xact, t.id) > (state.transfer_xact, state.transfer_id)
            AND t.xact < CASE WHEN restoring THEN '18446744073709551615' ELSE pg_snapshot_xmin(pg_current_snapshot()) END
            AND (t.xact < pg_snapshot_xmin(pg_current_snapshot())
                 OR t.xact > greatest(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id()))
          ORDER BY t.xact, t.id
          LIMIT rows_max)
        UNION ALL
        (SELECT 'act', a.id, a.xact
           FROM runtime.audit_log AS a
          WHERE (a.xact, a.id) > (state.act_xact, state.act_id)
            AND a.xact < CASE WHEN restoring THEN '18446744073709551615' ELSE pg_snapshot_xmin(pg_current_snapshot()) END
            AND (a.xact < pg_snapshot_xmin(pg_current_snapshot())
                 OR a.xact > greatest(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id()))
          ORDER BY a.xact, a.id
          LIMIT rows_max)
    ), taken AS (
        SELECT c.kind, c.id, c.xact FROM candidates AS c ORDER BY c.xact, c.kind, c.id LIMIT rows_max
    )
    SELECT array_agg(t.kind ORDER BY t.xact, t.kind, t.id), array_agg(t.id ORDER BY t.xact, t.kind, t.id),
           array_agg(t.xact ORDER BY t.xact, t.kind, t.id)
      INTO c_kind, c_id, c_xact
      FROM taken AS t;

    IF c_id IS NOT NULL THEN
        SELECT array_agg(d.kind ORDER BY d.n), array_agg(d.id ORDER BY d.n), array_agg(sha256(d.content) ORDER BY d.n)
          INTO s_kind, s_id, s_digest
          FROM (
                   SELECT x.n, x.kind, x.id,
                          '\x00000010'::bytea || uuid_send(t.id)
                          || int4send(octet_length(b.key)) || b.key
                          || int4send(octet_length(b.kind)) || b.kind
                          || '\x00000008'::bytea || timestamptz_send(t.event_at)
                          || '\x00000008'::bytea || timestamptz_send(t.posted_at)
                          || int4send(octet_length(b.metadata)) || b.metadata
                          || '\x00000008'::bytea || xid8send(t.xact)
                          || '\x00000008'::bytea || int8send(e.entries)
                          || coalesce(e.content, ''::bytea) AS content
                     FROM unnest(c_kind, c_id) WITH ORDINALITY AS x (kind, id, n)
                     JOIN ledger.transfers AS t ON t.id = x.id
                    CROSS JOIN LATERAL (
                              SELECT convert_to(t.key, 'UTF8'), convert_to(t.kind, 'UTF8'), convert_to(t.metadata::text, 'UTF8')
                          ) AS b (key, kind, metadata)
                    CROSS JOIN LATERAL (
                              SELECT count(*),
                                     string_agg(
                                         '\x00000008'::bytea || int8send(e.id)
                                         || '\x00000010'::bytea || uuid_send(e.account_id)
                                         || '\x00000008'::bytea || int8send(e.amount_cents)
                                         || coalesce('\x00000008'::bytea || int8send(e.account_previous_cents), '\xffffffff')
                                         || coalesce('\x00000008'::bytea || int8send(e.account_current_cents), '\xffffffff')
                                         || coalesce('\x00000008'::bytea || int8send(e.account_version), '\xffffffff')
                                         || '\x00000008'::bytea || xid8send(e.xact)
                                         || coalesce(int4send(octet_length(a.kind)) || convert_to(a.kind, 'UTF8'), '\xffffffff')
                                         || coalesce(int4send(octet_length(a.normal_side)) || convert_to(a.normal_side, 'UTF8'), '\xffffffff')
                                         || coalesce(int4send(octet_length(a.currency)) || convert_to(a.currency, 'UTF8'), '\xffffffff')
                                         || coalesce('\x00000010'::bytea || uuid_send(a.saver_id), '\xffffffff')
                                         || coalesce(int4send(octet_length(a.shortcode)) || convert_to(a.shortcode, 'UTF8'), '\xffffffff')
                                         || coalesce(int4send(octet_length(a.float_account)) || convert_to(a.float_account, 'UTF8'), '\xffffffff'),
                                         ''::bytea ORDER BY e.id
                                     )
                                FROM ledger.entries AS e
                                LEFT JOIN ledger.accounts AS a ON a.id = e.account_id
                               WHERE e.transfer_id = t.id
                          ) AS e (entries, content)
                    WHERE x.kind = 'transfer'
                      AND NOT EXISTS (SELECT FROM ledger.seals AS s WHERE s.subject_id = x.id AND s.kind = x.kind)
                   UNION ALL
                   SELECT x.n, x.kind, x.id,
                          '\x00000010'::bytea || uuid_send(a.id)
                          || int4send(octet_length(b.operator)) || b.operator
                          || int4send(octet_length(b.act)) || b.act
                          || int4send(octet_length(b.subject)) || b.subject
                          || int4send(octet_length(b.reason)) || b.reason
                          || int4send(octet_length(b.before)) || b.before
                          || int4send(octet_length(b.after)) || b.after
                          || '\x00000008'::bytea || timestamptz_send(a.recorded_at)
                          || '\x00000008'::bytea || xid8send(a.xact)
                     FROM unnest(c_kind, c_id) WITH ORDINALITY AS x (kind, id, n)
                     JOIN runtime.audit_log AS a ON a.id = x.id
                    CROSS JOIN LATERAL (
                              SELECT convert_to(a.operator, 'UTF8'), convert_to(a.act, 'UTF8'), convert_to(a.subject, 'UTF8'),
                                     convert_to(a.reason, 'UTF8'), convert_to(a.before::text, 'UTF8'), convert_to(a.after::text, 'UTF8')
                          ) AS b (operator, act, subject, reason, before, after)
                    WHERE x.kind = 'act'
                      AND NOT EXISTS (SELECT FROM ledger.seals AS s WHERE s.subject_id = x.id AND s.kind = x.kind)
               ) AS d;
    END IF;

    IF restoring AND c_id IS NULL
       AND (cardinality(marks) > 0 OR EXISTS (SELECT FROM ledger.seals AS s WHERE s.subject_id = mark_id AND s.kind = 'restore'))
    THEN
        marks := marks || ARRAY['restored'];
    END IF;
    IF cardinality(marks) > 0 THEN
        s_kind := marks || s_kind;
        s_id := array_fill(mark_id, ARRAY[cardinality(marks)]) || s_id;
        s_digest := array_fill(sha256('\x00000010'::bytea || uuid_send(mark_id)), ARRAY[cardinality(marks)]) || s_digest;
    END IF;

    IF s_id IS NOT NULL THEN
        moment := clock_timestamp();
        first := state.length + 1;
        s_hash := array_fill(NULL::bytea, ARRAY[cardinality(s_id)]);
        FOR i IN 1 .. cardinality(s_id) LOOP
            state.length := state.length + 1;
            state.hash := sha256(
                '\x00000020'::bytea || state.hash
                || '\x00000008'::bytea || int8send(state.length)
                || '\x00000008'::bytea || timestamptz_send(moment)
                || int4send(octet_length(s_kind[i])) || convert_to(s_kind[i], 'UTF8')
                || '\x00000010'::bytea || uuid_send(s_id[i])
                || '\x00000020'::bytea || s_digest[i]
            );
            s_hash[i] := state.hash;
        END LOOP;
        INSERT INTO ledger.seals (seq, sealed_at, subject_id, kind, digest, hash)
        SELECT first + x.n - 1, moment, x.id, x.kind, x.digest, x.hash
          FROM unnest(s_id, s_kind, s_digest, s_hash) WITH ORDINALITY AS x (id, kind, digest, hash, n)
         ORDER BY x.n;
    END IF;

    FOR i IN REVERSE coalesce(cardinality(c_id), 0) .. 1 LOOP
        IF c_kind[i] = 'transfer' AND (c_xact[i], c_id[i]) > (state.transfer_xact, state.transfer_id) THEN
            state.transfer_xact := c_xact[i];
            state.transfer_id := c_id[i];
        ELSIF c_kind[i] = 'act' AND (c_xact[i], c_id[i]) > (state.act_xact, state.act_id) THEN
            state.act_xact := c_xact[i];
            state.act_id := c_id[i];
        END IF;
    END LOOP;
    -- The walk over what was restored has come to its end: the usual one goes on from where it began.
    IF restoring AND c_id IS NULL THEN
        state.transfer_xact := state.restored_from;
        state.transfer_id := '00000000-0000-0000-0000-000000000000';
        state.act_xact := state.transfer_xact;
        state.act_id := state.transfer_id;
        state.restored_from := NULL;
    END IF;
    IF c_id IS NOT NULL OR restoring THEN
        UPDATE ledger.sealing AS s
           SET cluster_id = state.cluster_id, restored_from = state.restored_from,
               transfer_xact = state.transfer_xact, transfer_id = state.transfer_id,
               act_xact = state.act_xact, act_id = state.act_id, length = state.length, hash = state.hash
         WHERE s.id = 1;
    END IF;
    IF restoring AND c_id IS NULL THEN
        RETURN QUERY SELECT n.outcome, n.looked_at, n.sealed FROM ledger.seal(rows_max) AS n;
        RETURN;
    END IF;
    RETURN QUERY SELECT 'sealed', coalesce(cardinality(c_id), 0), coalesce(cardinality(s_id), 0) - cardinality(marks);
END
$$;
ALTER FUNCTION ledger.seal(integer) OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.seal(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.seal(integer) TO zanari_system;
COMMENT ON FUNCTION ledger.seal(integer) IS 'Seals up to so many rows that no running transaction can add to. Safe to call at any time, from anywhere; one caller at a time gets to work.';
