-- ledger.check proves every promise of the books again, from the rows alone, and names what it finds broken.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The rules that hold before anything is written. One that is dropped, disabled or not validated is a broken
-- promise even while the rows still look right. A test holds this list equal to what the migrations create.
CREATE FUNCTION ledger.check_guards() RETURNS TABLE (invariant text, subject text, detail text)
    LANGUAGE sql STABLE
    SET search_path = ''
AS $$
    WITH wanted (relation, names) AS (
        VALUES
        ('accounts', ARRAY[
            'accounts_pkey', 'accounts_identity_unique', 'accounts_float_unique', 'accounts_wallet_unique',
            'accounts_receivable_unique', 'accounts_system_unique', 'accounts_kind_known',
            'accounts_normal_side_matches_kind', 'accounts_currency_known', 'accounts_saver_matches_kind',
            'accounts_shortcode_on_floats_only', 'accounts_shortcode_digits',
            'accounts_float_account_on_floats_only', 'accounts_float_account_known',
            'accounts_system_stays_open', 'accounts_closed_after_opened', 'accounts_only_close',
            'accounts_never_deleted']),
        ('balances', ARRAY[
            'balances_pkey', 'balances_account_matches', 'balances_not_overdrawn',
            'balances_receivable_not_overpaid', 'balances_version_counts', 'balances_start_at_zero',
            'balances_open_without_money', 'balances_version_grows', 'balances_follow_entries',
            'balances_never_deleted']),
        ('transfers', ARRAY[
            'transfers_pkey', 'transfers_key_unique', 'transfers_key_sized', 'transfers_kind_named',
            'transfers_event_at_finite', 'transfers_metadata_object', 'transfers_have_entries',
            'transfers_immutable']),
        ('entries', ARRAY[
            'entries_pkey', 'entries_version_unique', 'entries_amount_not_zero', 'entries_chain_whole',
            'entries_version_counts', 'entries_current_adds_up', 'entries_make_whole_transfers',
            'entries_continue_the_chain', 'entries_immutable']),
        ('snapshots', ARRAY['snapshots_pkey', 'snapshots_account_known'])
    ), tables AS (
        SELECT c.oid, c.relname, c.relrowsecurity, c.relacl, c.relowner
          FROM pg_class AS c
         WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'p')
    ), standing AS (
        SELECT c.conrelid AS relation, c.conname AS name FROM pg_constraint AS c WHERE c.convalidated
        UNION ALL
        SELECT t.tgrelid, t.tgname FROM pg_trigger AS t WHERE t.tgenabled IN ('O', 'A')
        UNION ALL
        SELECT i.indrelid, c.relname
          FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
         WHERE i.indisunique AND i.indisvalid
    )
    SELECT 'guard_missing', w.relation || '.' || n.name, 'dropped, disabled or not validated'
      FROM wanted AS w
      CROSS JOIN unnest(w.names) AS n (name)
     WHERE NOT EXISTS (
               SELECT FROM standing AS s JOIN tables AS t ON t.oid = s.relation
                WHERE t.relname = w.relation AND s.name = n.name
           )
    UNION ALL
    SELECT 'guard_disabled', t.relname || '.' || g.tgname, 'a trigger that does not fire'
      FROM pg_trigger AS g JOIN tables AS t ON t.oid = g.tgrelid
     WHERE g.tgisinternal AND g.tgenabled NOT IN ('O', 'A')
    UNION ALL
    SELECT 'row_security_off', t.relname, 'every role with a grant reads every row'
      FROM tables AS t WHERE NOT t.relrowsecurity
    UNION ALL
    SELECT 'write_granted', t.relname, format('%s to %s', x.privilege_type, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END)
      FROM tables AS t
      CROSS JOIN aclexplode(t.relacl) AS x
     WHERE x.grantee <> t.relowner AND x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
$$;
ALTER FUNCTION ledger.check_guards() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.check_guards() FROM PUBLIC;
COMMENT ON FUNCTION ledger.check_guards() IS 'The guards of the books that are missing, disabled or undone. Part of ledger.check.';

-- One statement, hence one view of the database: postings that run meanwhile cannot make it cry wolf. It
-- believes no trigger, constraint or balance row, only entries, and says which guards are gone.
CREATE FUNCTION ledger.check() RETURNS TABLE (invariant text, subject text, detail text)
    LANGUAGE sql STABLE
    SECURITY DEFINER
    SET search_path = ''
AS $$
    WITH sums AS (
        SELECT e.transfer_id, count(*) AS entries, sum(e.amount_cents) AS cents, count(DISTINCT a.currency) AS currencies
          FROM ledger.entries AS e
          LEFT JOIN ledger.accounts AS a ON a.id = e.account_id
         GROUP BY e.transfer_id
    ), chain AS (
        SELECT e.id, e.account_id, a.kind, e.amount_cents, e.account_version AS version,
               e.account_previous_cents AS previous_cents, e.account_current_cents AS current_cents,
               lag(e.account_version, 1, 0) OVER of_account AS last_version,
               lag(e.account_current_cents, 1, 0) OVER of_account AS last_cents
          FROM ledger.entries AS e
          JOIN ledger.accounts AS a ON a.id = e.account_id
         WHERE a.saver_id IS NOT NULL
        WINDOW of_account AS (PARTITION BY e.account_id ORDER BY e.account_version, e.id)
    ), held AS (
        SELECT e.account_id, sum(e.amount_cents) AS cents, count(*) AS entries
          FROM ledger.entries AS e
         GROUP BY e.account_id
    )
    SELECT 'transfer_unbalanced', s.transfer_id::text, format('its entries sum to %s', s.cents)
      FROM sums AS s WHERE s.cents <> 0
    UNION ALL
    SELECT 'transfer_too_few_entries', t.id::text, format('it has %s', coalesce(s.entries, 0))
      FROM ledger.transfers AS t LEFT JOIN sums AS s ON s.transfer_id = t.id WHERE coalesce(s.entries, 0) < 2
    UNION ALL
    SELECT 'transfer_mixes_currencies', s.transfer_id::text, format('it has %s', s.currencies)
      FROM sums AS s WHERE s.currencies > 1
    UNION ALL
    SELECT 'transfer_key_repeated', t.key, format('%s transfers have it', count(*))
      FROM ledger.transfers AS t GROUP BY t.key HAVING count(*) > 1
    UNION ALL
    SELECT 'entry_without_transfer', s.transfer_id::text, format('%s entries name it', s.entries)
      FROM sums AS s WHERE NOT EXISTS (SELECT FROM ledger.transfers AS t WHERE t.id = s.transfer_id)
    UNION ALL
    SELECT 'entry_without_account', h.account_id::text, format('%s entries name it', h.entries)
      FROM held AS h WHERE NOT EXISTS (SELECT FROM ledger.accounts AS a WHERE a.id = h.account_id)
    UNION ALL
    SELECT 'entry_of_zero', e.id::text, 'it moves nothing' FROM ledger.entries AS e WHERE e.amount_cents = 0
    UNION ALL
    SELECT 'books_not_zero', 'ledger', format('all entries sum to %s', sum(h.cents))
      FROM held AS h HAVING sum(h.cents) <> 0
    UNION ALL
    SELECT 'version_on_system_account', e.id::text, format('version %s', e.account_version)
      FROM ledger.entries AS e JOIN ledger.accounts AS a ON a.id = e.account_id
     WHERE a.saver_id IS NULL
       AND num_nonnulls(e.account_version, e.account_previous_cents, e.account_current_cents) > 0
    UNION ALL
    SELECT 'version_missing', c.id::text, 'an entry of a saver account without version or running balance'
      FROM chain AS c WHERE num_nulls(c.version, c.previous_cents, c.current_cents) > 0
    UNION ALL
    SELECT 'version_gap', c.account_id::text, format('version %s follows %s', c.version, c.last_version)
      FROM chain AS c WHERE c.version <> c.last_version + 1
    UNION ALL
    SELECT 'chain_broken', c.account_id::text,
           format('version %s starts at %s, its predecessor ended at %s', c.version, c.previous_cents, c.last_cents)
      FROM chain AS c WHERE c.previous_cents <> c.last_cents
    UNION ALL
    SELECT 'entry_adds_up_wrong', c.id::text, format('%s and %s is not %s', c.previous_cents, c.amount_cents, c.current_cents)
      FROM chain AS c WHERE c.previous_cents + c.amount_cents <> c.current_cents
    UNION ALL
    SELECT 'overdrawn', c.account_id::text, format('%s at version %s', c.current_cents, c.version)
      FROM chain AS c WHERE CASE c.kind WHEN 'receivable' THEN c.current_cents > 0 ELSE c.current_cents < 0 END
    UNION ALL
    SELECT 'balance_overdrawn', b.account_id::text, format('the balance row says %s', b.balance_cents)
      FROM ledger.balances AS b JOIN ledger.accounts AS a ON a.id = b.account_id
     WHERE CASE a.kind WHEN 'receivable' THEN b.balance_cents > 0 ELSE b.balance_cents < 0 END
    UNION ALL
    SELECT 'balance_missing', a.id::text, format('a %s without a balance row', a.kind)
      FROM ledger.accounts AS a LEFT JOIN ledger.balances AS b ON b.account_id = a.id
     WHERE a.saver_id IS NOT NULL AND b.account_id IS NULL
    UNION ALL
    SELECT 'balance_extra', b.account_id::text, 'a balance row that no saver account of this kind and saver asks for'
      FROM ledger.balances AS b
     WHERE NOT EXISTS (
               SELECT FROM ledger.accounts AS a
                WHERE a.id = b.account_id AND a.saver_id = b.saver_id AND a.kind = b.kind
           )
    UNION ALL
    SELECT 'balance_unlike_entries', b.account_id::text,
           format('it says %s at version %s, the entries say %s at %s',
                  b.balance_cents, b.version, coalesce(h.cents, 0), coalesce(h.entries, 0))
      FROM ledger.balances AS b LEFT JOIN held AS h ON h.account_id = b.account_id
     WHERE b.balance_cents <> coalesce(h.cents, 0) OR b.version <> coalesce(h.entries, 0)
    UNION ALL
    SELECT 'closed_with_money', a.id::text, format('closed at %s holding %s', a.closed_at, h.cents)
      FROM ledger.accounts AS a JOIN held AS h ON h.account_id = a.id
     WHERE a.closed_at IS NOT NULL AND h.cents <> 0
    UNION ALL
    SELECT 'account_off_chart', a.id::text, format('a %s on the %s side', a.kind, a.normal_side)
      FROM ledger.accounts AS a
     WHERE (a.kind, a.normal_side, a.saver_id IS NOT NULL, a.shortcode IS NOT NULL, a.float_account IS NOT NULL) NOT IN (
               ('wallet', 'credit', true, false, false), ('goal', 'credit', true, false, false),
               ('receivable', 'debit', true, false, false), ('float', 'debit', false, true, true),
               ('suspense', 'credit', false, false, false), ('in_flight', 'credit', false, false, false),
               ('dust', 'credit', false, false, false), ('funding', 'credit', false, false, false),
               ('fees', 'debit', false, false, false)
           )
    UNION ALL
    SELECT 'snapshot_unlike_entries', s.account_id::text, format('it says %s, the entries say %s', s.balance_cents, n.cents)
      FROM ledger.snapshots AS s
      CROSS JOIN LATERAL (
               SELECT coalesce(sum(e.amount_cents), 0)
                 FROM ledger.entries AS e
                WHERE e.account_id = s.account_id
                  AND (e.xact < s.consumed_below OR e.id <= s.restored_through)
           ) AS n (cents)
     WHERE s.cluster_id = ledger.cluster_id() AND s.balance_cents <> n.cents
    UNION ALL
    SELECT g.invariant, g.subject, g.detail FROM ledger.check_guards() AS g
$$;
ALTER FUNCTION ledger.check() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.check() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.check() TO zanari_system;
COMMENT ON FUNCTION ledger.check() IS 'Every broken promise of the books, one row each; none when they are in order.';
