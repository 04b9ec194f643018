-- Reading the books: the balance of any account, and the snapshots that keep this cheap for system accounts.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Snapshots -----------------------------------------------------------------------------------------------
-- A system account's balance as of a point that no running transaction can still write behind: rows of
-- transactions below `consumed_below`. Neither sequence nor time gives such a point, since both are drawn
-- before the commit that shows the row.
--
-- Transaction ids belong to one cluster. After a dump is restored into another they start over, so a snapshot
-- of another cluster is ignored and replaced. The restored rows carry ids that mean nothing there; those that
-- this cluster has not reached yet are all at or below `restored_through`, by which later reads leave them out.
CREATE TABLE ledger.snapshots (
    account_id       uuid NOT NULL,
    cluster_id       bigint NOT NULL,
    consumed_below   xid8 NOT NULL,
    restored_through bigint NOT NULL,
    balance_cents    bigint NOT NULL,
    taken_at         timestamptz NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT snapshots_pkey PRIMARY KEY (account_id),
    CONSTRAINT snapshots_account_known FOREIGN KEY (account_id) REFERENCES ledger.accounts (id)
);
ALTER TABLE ledger.snapshots OWNER TO zanari_ledger_owner;
ALTER TABLE ledger.snapshots ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON ledger.snapshots TO zanari_system;
CREATE POLICY snapshots_all ON ledger.snapshots FOR SELECT TO zanari_system USING (true);

COMMENT ON TABLE ledger.snapshots IS 'Balances of system accounts so far: a cache that may be thrown away. balance_cents is as stored, positive for a credit.';

CREATE FUNCTION ledger.cluster_id() RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path = ''
AS $$
    SELECT c.system_identifier FROM pg_control_system() AS c
$$;
ALTER FUNCTION ledger.cluster_id() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.cluster_id() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.cluster_id() TO zanari_api, zanari_system;
COMMENT ON FUNCTION ledger.cluster_id() IS 'Which cluster this is: the one whose transaction ids mean something here.';

CREATE FUNCTION ledger.take_snapshots() RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = ''
AS $$
BEGIN
    -- One taker at a time; readers are not kept waiting.
    LOCK TABLE ledger.snapshots IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO ledger.snapshots AS kept (account_id, cluster_id, consumed_below, restored_through, balance_cents)
    SELECT a.id, h.cluster_id, h.consumed_below, r.restored_through, coalesce(s.balance_cents, 0) + n.amount_cents
      FROM ledger.accounts AS a
      CROSS JOIN (
               SELECT ledger.cluster_id(), pg_snapshot_xmin(pg_current_snapshot()),
                      greatest(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id_if_assigned())
           ) AS h (cluster_id, consumed_below, reached)
      LEFT JOIN ledger.snapshots AS s ON s.account_id = a.id AND s.cluster_id = h.cluster_id
      CROSS JOIN LATERAL (
               SELECT coalesce(s.restored_through, (
                          SELECT max(e.id) FROM ledger.entries AS e
                           WHERE e.account_id = a.id AND e.account_version IS NULL AND e.xact > h.reached
                      ), 0)
           ) AS r (restored_through)
      CROSS JOIN LATERAL (
               SELECT coalesce(sum(e.amount_cents), 0)
                 FROM ledger.entries AS e
                WHERE e.account_id = a.id AND e.account_version IS NULL
                  AND CASE WHEN s.account_id IS NULL
                           THEN e.xact < h.consumed_below OR e.id <= r.restored_through
                           ELSE e.id > r.restored_through
                      END
                  -- Outside the CASE, so that the index gives only the rows since the last snapshot.
                  AND e.xact >= coalesce(s.consumed_below, '0')
                  AND e.xact < CASE WHEN s.account_id IS NULL THEN '18446744073709551615' ELSE h.consumed_below END
           ) AS n (amount_cents)
     WHERE a.saver_id IS NULL
        ON CONFLICT (account_id) DO UPDATE
       SET cluster_id = excluded.cluster_id, consumed_below = excluded.consumed_below,
           restored_through = excluded.restored_through, balance_cents = excluded.balance_cents,
           taken_at = excluded.taken_at
     WHERE kept.cluster_id <> excluded.cluster_id OR kept.consumed_below <= excluded.consumed_below;
END
$$;
ALTER FUNCTION ledger.take_snapshots() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.take_snapshots() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.take_snapshots() TO zanari_system;
COMMENT ON FUNCTION ledger.take_snapshots() IS 'Brings the snapshots of all system accounts up to date. Run it now and then; nothing depends on when.';

CREATE FUNCTION ledger.balance(of_account uuid) RETURNS bigint
    LANGUAGE sql STABLE
    SECURITY DEFINER
    SET search_path = ''
AS $$
    SELECT CASE a.normal_side WHEN 'debit' THEN -1 ELSE 1 END * CASE
               WHEN a.saver_id IS NOT NULL
               THEN (SELECT b.balance_cents FROM ledger.balances AS b WHERE b.account_id = a.id)
               ELSE (SELECT coalesce(min(s.balance_cents), 0) + coalesce(sum(e.amount_cents), 0)::bigint
                       FROM (SELECT a.id AS account_id) AS this
                       LEFT JOIN ledger.snapshots AS s
                         ON s.account_id = this.account_id AND s.cluster_id = ledger.cluster_id()
                       LEFT JOIN ledger.entries AS e
                         ON e.account_id = this.account_id AND e.account_version IS NULL
                        AND e.xact >= coalesce(s.consumed_below, '0')
                        AND e.id > coalesce(s.restored_through, 0)
                        -- What is restored and not reached yet is in the snapshot: do not even read it.
                        AND e.xact <= CASE
                                WHEN s.account_id IS NULL THEN '18446744073709551615'
                                ELSE greatest(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id_if_assigned())
                            END)
           END
      FROM ledger.accounts AS a
      CROSS JOIN (SELECT ledger.calling_saver_id()) AS c (limited_to)
     WHERE a.id = of_account
       AND (c.limited_to IS NULL OR a.saver_id = c.limited_to)
$$;
ALTER FUNCTION ledger.balance(uuid) OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.balance(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.balance(uuid) TO zanari_api, zanari_system;
COMMENT ON FUNCTION ledger.balance(uuid) IS 'What an account holds, on its normal side; null for one that the caller may not see.';
