-- The service's roles. Roles belong to the whole cluster, so each is made only where it is absent:
-- a second database on the same cluster finds them there.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'zanari_ledger_owner') THEN
        CREATE ROLE zanari_ledger_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'zanari_api') THEN
        CREATE ROLE zanari_api NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'zanari_system') THEN
        CREATE ROLE zanari_system NOLOGIN;
    END IF;
    -- The login of the service. It has no password until an operator sets one, and NOINHERIT means
    -- that a connection which forgot SET ROLE may do nothing at all.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'zanari_service') THEN
        CREATE ROLE zanari_service LOGIN NOINHERIT;
    END IF;
END
$$;

COMMENT ON ROLE zanari_ledger_owner IS 'Owns schema ledger; its SECURITY DEFINER functions are the only writers of the books.';
COMMENT ON ROLE zanari_api IS 'A saver''s request: row level security limits it to the saver named by zanari.saver_id.';
COMMENT ON ROLE zanari_system IS 'Webhooks, callbacks and the worker: spans savers.';
COMMENT ON ROLE zanari_service IS 'The login of the service; takes zanari_api or zanari_system for each transaction.';

GRANT zanari_api, zanari_system TO zanari_service;

-- From Postgres 16 on, the creator of a role may administer it but not become it. Whoever migrates
-- must be able to hand objects over to the ledger's owner.
GRANT zanari_ledger_owner TO CURRENT_USER;
