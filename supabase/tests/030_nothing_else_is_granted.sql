-- The whole list of what Supabase's roles hold on our schemas, so that a new table or a hasty grant shows up here.
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL search_path = extensions;
SELECT plan(8);

CREATE TEMPORARY VIEW supabase_roles AS
SELECT r.rolname, r.oid
  FROM pg_catalog.pg_roles AS r
 WHERE r.rolname IN ('anon', 'authenticated', 'service_role', 'authenticator');

CREATE TEMPORARY VIEW our_tables AS
SELECT c.oid, c.oid::regclass::text AS name, c.relrowsecurity
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname IN ('ledger', 'savings', 'mpesa', 'runtime')
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f');

SELECT cmp_ok((SELECT count(*)::integer FROM our_tables), '>', 10, 'the schemas under test are there');

SELECT is_empty(
    'SELECT name FROM our_tables WHERE NOT relrowsecurity',
    'row level security is on for every table'
);
SELECT is_empty(
    $$ SELECT t.name, r.rolname, p.privilege
         FROM our_tables AS t, supabase_roles AS r,
              unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p (privilege)
        WHERE has_table_privilege(r.oid, t.oid, p.privilege) $$,
    'no role of Supabase holds a privilege on a whole table'
);
SELECT is_empty(
    $$ SELECT t.name, r.rolname
         FROM our_tables AS t, supabase_roles AS r
        WHERE has_any_column_privilege(r.oid, t.oid, 'INSERT, UPDATE, REFERENCES') $$,
    'no role of Supabase may write any column'
);
SELECT is(
    (SELECT string_agg(format('%s reads %s', r.rolname, t.name), ', ' ORDER BY t.oid)
       FROM our_tables AS t, supabase_roles AS r
      WHERE has_any_column_privilege(r.oid, t.oid, 'SELECT')),
    'authenticated reads savings.goals, authenticated reads savings.transactions',
    'only authenticated reads, and only goals and the feed'
);
SELECT is_empty(
    $$ SELECT p.oid::regprocedure::text, r.rolname
         FROM pg_catalog.pg_proc AS p
         JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace, supabase_roles AS r
        WHERE n.nspname IN ('ledger', 'savings', 'mpesa', 'runtime')
          AND has_function_privilege(r.oid, p.oid, 'EXECUTE') $$,
    'no role of Supabase may call a function of ours'
);

SELECT is(session_user::text, 'authenticator', 'these tests come in by the login of PostgREST and Realtime');
SELECT ok(
    NOT (SELECT r.rolinherit FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'authenticator'),
    'a connection of that login which forgot SET ROLE holds none of its roles'' privileges'
);

SELECT * FROM finish();
ROLLBACK;
