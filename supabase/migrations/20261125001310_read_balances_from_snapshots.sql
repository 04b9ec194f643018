-- A balance of a system account is its snapshot and the entries since. As a join Postgres was free to read all of the
-- account's entries and to throw away what the snapshot holds, and did so wherever accounts have few on average; what
-- is summed by itself is searched for by account and transaction.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE OR REPLACE FUNCTION ledger.balance(of_account uuid) RETURNS bigint
    LANGUAGE sql STABLE
    SECURITY DEFINER
    SET search_path = ''
AS $$
    SELECT CASE a.normal_side WHEN 'debit' THEN -1 ELSE 1 END * CASE
               WHEN a.saver_id IS NOT NULL
               THEN (SELECT b.balance_cents FROM ledger.balances AS b WHERE b.account_id = a.id)
               ELSE (SELECT coalesce(s.balance_cents, 0) + since.amount_cents
                       FROM (SELECT a.id AS account_id) AS this
                       LEFT JOIN ledger.snapshots AS s
                         ON s.account_id = this.account_id AND s.cluster_id = ledger.cluster_id()
                      CROSS JOIN LATERAL (
                                SELECT coalesce(sum(e.amount_cents), 0)::bigint AS amount_cents
                                  FROM ledger.entries AS e
                                 WHERE e.account_id = this.account_id AND e.account_version IS NULL
                                   AND e.xact >= coalesce(s.consumed_below, '0')
                                   AND e.id > coalesce(s.restored_through, 0)
                                   -- What is restored and not reached yet is in the snapshot: do not even read it.
                                   AND e.xact <= CASE
                                           WHEN s.account_id IS NULL THEN '18446744073709551615'
                                           ELSE greatest(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id_if_assigned())
                                       END
                            ) AS since)
           END
      FROM ledger.accounts AS a
      CROSS JOIN (SELECT ledger.calling_saver_id()) AS c (limited_to)
     WHERE a.id = of_account
       AND (c.limited_to IS NULL OR a.saver_id = c.limited_to)
$$;
