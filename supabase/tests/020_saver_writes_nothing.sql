-- What a saver's app may never do through Supabase, own rows or not.
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL search_path = extensions;
SELECT plan(10);

SELECT set_config('request.jwt.claims', '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated"}', true);

SELECT throws_ok(
    $$ UPDATE savings.goals SET name = 'mine now' $$, '42501', NULL, 'own goals cannot be changed'
);
SELECT throws_ok('DELETE FROM savings.goals', '42501', NULL, 'own goals cannot be deleted');
SELECT throws_ok(
    $$ INSERT INTO savings.goals (saver_id, id, account_id, name, priority)
       VALUES ('aaaaaaaa-0000-4000-8000-000000000001', gen_random_uuid(), gen_random_uuid(), 'new', 2) $$,
    '42501', NULL, 'goals cannot be made'
);
SELECT throws_ok(
    'UPDATE savings.transactions SET amount_cents = 1', '42501', NULL, 'the feed cannot be changed'
);
SELECT throws_ok('DELETE FROM savings.transactions', '42501', NULL, 'the feed cannot be deleted');
SELECT throws_ok('TRUNCATE savings.transactions', '42501', NULL, 'the feed cannot be emptied');
SELECT throws_ok('SELECT * FROM savings.savers', '42501', NULL, 'the own profile is not read here');
SELECT throws_ok('SELECT * FROM ledger.balances', '42501', NULL, 'the books are out of reach');
SELECT throws_ok(
    $$ SELECT ledger.post('[]'::pg_catalog.jsonb) $$, '42501', NULL, 'nobody posts to the books through Supabase'
);
SELECT throws_ok('SET LOCAL ROLE zanari_system', '42501', NULL, 'the roles of the service cannot be taken');

SELECT * FROM finish();
ROLLBACK;
