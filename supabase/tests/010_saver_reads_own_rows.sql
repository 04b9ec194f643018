-- What a saver's app may do through Supabase: read its own goals and its own feed, and nothing of anybody else.
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL search_path = extensions;
SELECT plan(10);

SELECT set_config('request.jwt.claims', '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated"}', true);

SELECT results_eq(
    'SELECT name FROM savings.goals',
    ARRAY['Spare change of Amina'],
    'a saver sees own goals and no other'
);
SELECT results_eq(
    'SELECT title FROM savings.transactions',
    ARRAY['Deposit of Amina'],
    'a saver sees the own feed and no other'
);
SELECT is_empty(
    $$ SELECT name FROM savings.goals WHERE saver_id = 'bbbbbbbb-0000-4000-8000-000000000001' $$,
    'asking for another saver by id finds nothing'
);
SELECT throws_ok(
    'SELECT account_id FROM savings.goals', '42501', NULL, 'the ledger account behind a goal stays inside'
);
SELECT throws_ok(
    'SELECT private FROM savings.transactions', '42501', NULL, 'encrypted details are not handed out, even encrypted'
);

SELECT set_config('request.jwt.claims', '{"sub": "bbbbbbbb-0000-4000-8000-000000000001", "role": "authenticated"}', true);
SELECT results_eq(
    'SELECT name FROM savings.goals',
    ARRAY['Spare change of Baraka'],
    'another token sees another saver''s goals'
);

SELECT set_config('request.jwt.claims', '{"sub": "cccccccc-0000-4000-8000-000000000001", "role": "authenticated"}', true);
SELECT is_empty('SELECT name FROM savings.goals', 'a token of nobody we know sees no goals');

SELECT set_config('request.jwt.claims', '', true);
SELECT is_empty('SELECT name FROM savings.goals', 'without claims there are no goals');
SELECT is_empty('SELECT title FROM savings.transactions', 'without claims there is no feed');

-- The service's own setting must not open what the token does not.
SELECT set_config('zanari.saver_id', 'aaaaaaaa-0000-4000-8000-000000000001', true);
SELECT is_empty('SELECT name FROM savings.goals', 'the setting of the service says nothing to Supabase''s roles');

SELECT * FROM finish();
ROLLBACK;
