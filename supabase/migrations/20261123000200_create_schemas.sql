-- The four schemas. Nothing is granted to PUBLIC, anon or service_role anywhere; each table grants what it means to.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE SCHEMA ledger AUTHORIZATION zanari_ledger_owner;
CREATE SCHEMA savings;
CREATE SCHEMA mpesa;
CREATE SCHEMA runtime;

COMMENT ON SCHEMA ledger IS 'The books: accounts, transfers, entries. Written by ledger.post and nothing else.';
COMMENT ON SCHEMA savings IS 'Savers and what they save: profiles, rules, goals, spends, the feed.';
COMMENT ON SCHEMA mpesa IS 'What M-PESA told us: callbacks as received, receipts, money nobody could be matched to.';
COMMENT ON SCHEMA runtime IS 'The service''s own state: idempotency keys, wrapped data keys.';

GRANT USAGE ON SCHEMA ledger, savings TO zanari_api, zanari_system;
GRANT USAGE ON SCHEMA mpesa TO zanari_system;
GRANT USAGE ON SCHEMA runtime TO zanari_api, zanari_system;
-- Realtime reads a saver's own goals and feed as `authenticated`.
GRANT USAGE ON SCHEMA savings TO authenticated;
