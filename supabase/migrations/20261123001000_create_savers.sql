-- Savers, the M-PESA numbers they have proven to be theirs, and when they were last seen.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE FUNCTION savings.current_saver_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = ''
AS $$ SELECT NULLIF(current_setting('zanari.saver_id', true), '')::uuid $$;
COMMENT ON FUNCTION savings.current_saver_id() IS
    'The saver of this transaction; null when none was set, which matches no row.';
REVOKE ALL ON FUNCTION savings.current_saver_id() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION savings.current_saver_id() TO zanari_api, zanari_system;

-- Counts savers; the service scatters the count over the seven digits of a member code, so that codes
-- neither collide nor follow one another. Numbers are never reused.
CREATE SEQUENCE savings.member_numbers AS bigint MINVALUE 0 MAXVALUE 9999999 START 0 NO CYCLE;
GRANT USAGE ON SEQUENCE savings.member_numbers TO zanari_system;

CREATE TABLE savings.savers (
    saver_id uuid CONSTRAINT savers_pkey PRIMARY KEY,
    member_code text NOT NULL
        CONSTRAINT savers_member_code_unique UNIQUE
        CONSTRAINT savers_member_code_digits CHECK (member_code ~ '^[0-9]{8}$'),
    first_name bytea,
    last_name bytea,
    kyc_tier smallint NOT NULL DEFAULT 0 CONSTRAINT savers_kyc_tier_known CHECK (kyc_tier BETWEEN 0 AND 3),
    wallet_account_id uuid NOT NULL CONSTRAINT savers_wallet_unique UNIQUE,
    data_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE savings.savers IS
    'One row a saver, and the mutex of all that saver''s money: every effect locks it first, FOR NO KEY UPDATE.';
COMMENT ON COLUMN savings.savers.saver_id IS 'The id of the saver in Supabase Auth (auth.users.id).';
COMMENT ON COLUMN savings.savers.first_name IS 'Encrypted under the saver''s data key, as is last_name.';
COMMENT ON COLUMN savings.savers.data_key IS 'The saver''s data key, wrapped by a PII key whose id precedes it.';

ALTER TABLE savings.savers ENABLE ROW LEVEL SECURITY;
CREATE POLICY savers_of_the_saver ON savings.savers TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, UPDATE (first_name, last_name, updated_at) ON savings.savers TO zanari_api;
CREATE POLICY savers_for_the_system ON savings.savers TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.savers TO zanari_system;

CREATE TABLE savings.mpesa_accounts (
    saver_id uuid NOT NULL CONSTRAINT mpesa_accounts_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    msisdn bytea NOT NULL,
    blind_index bytea NOT NULL,
    proven_by text NOT NULL CONSTRAINT mpesa_accounts_proof_known CHECK (proven_by IN ('supabase_auth', 'stk_push')),
    linked_at timestamptz NOT NULL DEFAULT now(),
    unlinked_at timestamptz,
    unlinked_because text CONSTRAINT mpesa_accounts_unlinked_because_known
        CHECK (unlinked_because IN ('proven_by_another_saver', 'removed_by_saver')),
    CONSTRAINT mpesa_accounts_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT mpesa_accounts_unlinked_after_linked CHECK (unlinked_at >= linked_at),
    CONSTRAINT mpesa_accounts_unlinked_with_cause CHECK ((unlinked_at IS NULL) = (unlinked_because IS NULL))
);
COMMENT ON TABLE savings.mpesa_accounts IS
    'Each time a saver held a number: from linked_at until unlinked_at. A spend belongs to the link that holds its time.';
COMMENT ON COLUMN savings.mpesa_accounts.msisdn IS 'Encrypted under the saver''s data key.';
COMMENT ON COLUMN savings.mpesa_accounts.blind_index IS 'HMAC of the number under the index key: finds a number without storing it.';
CREATE UNIQUE INDEX mpesa_accounts_number_linked_once ON savings.mpesa_accounts (blind_index) WHERE unlinked_at IS NULL;
CREATE INDEX mpesa_accounts_by_number ON savings.mpesa_accounts (blind_index, linked_at);

ALTER TABLE savings.mpesa_accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY mpesa_accounts_of_the_saver ON savings.mpesa_accounts TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT ON savings.mpesa_accounts TO zanari_api;
CREATE POLICY mpesa_accounts_for_the_system ON savings.mpesa_accounts TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.mpesa_accounts TO zanari_system;

CREATE TABLE savings.saver_activity (
    saver_id uuid CONSTRAINT saver_activity_pkey PRIMARY KEY,
    last_seen_at timestamptz NOT NULL
);
COMMENT ON TABLE savings.saver_activity IS
    'When a saver last called, to the minute. Apart from savers, so that being seen never waits for money to move.';
CREATE INDEX saver_activity_by_time ON savings.saver_activity (last_seen_at);

ALTER TABLE savings.saver_activity ENABLE ROW LEVEL SECURITY;
CREATE POLICY saver_activity_for_the_system ON savings.saver_activity TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.saver_activity TO zanari_system;
