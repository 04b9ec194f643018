-- ledger.check also looks for the guards of the chain.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The rules that hold before anything is written. One that is dropped, disabled or not validated is a broken
-- promise even while the rows still look right. A test holds this list equal to what the migrations create.
CREATE OR REPLACE FUNCTION ledger.check_guards() RETURNS TABLE (invariant text, subject text, detail text)
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
        ('snapshots', ARRAY['snapshots_pkey', 'snapshots_account_known']),
        ('seals', ARRAY[
            'seals_pkey', 'seals_subject_unique', 'seals_seq_counts', 'seals_kind_known', 'seals_digest_sized',
            'seals_hash_sized', 'seals_immutable']),
        ('sealing', ARRAY['sealing_pkey', 'sealing_only_one', 'sealing_never_deleted'])
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
