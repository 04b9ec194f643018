-- PINs, the single-use tokens that a right PIN earns, and the holds that keep payouts back after something changed.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE savings.pins (
    saver_id uuid CONSTRAINT pins_pkey PRIMARY KEY CONSTRAINT pins_saver_exists REFERENCES savings.savers,
    hash bytea NOT NULL,
    version integer NOT NULL CONSTRAINT pins_version_positive CHECK (version > 0),
    wrong_tries integer NOT NULL DEFAULT 0 CONSTRAINT pins_wrong_tries_counted CHECK (wrong_tries >= 0),
    locked_until timestamptz,
    set_at timestamptz NOT NULL,
    reset_at timestamptz,
    CONSTRAINT pins_locked_by_wrong_tries CHECK (locked_until IS NULL OR wrong_tries > 0)
);
COMMENT ON TABLE savings.pins IS
    'A saver''s PIN. A try is judged under the row''s lock, so tries at once are counted one after another.';
COMMENT ON COLUMN savings.pins.hash IS
    'argon2id, encrypted under the saver''s data key: so few PINs are possible that a hash alone would give each away.';
COMMENT ON COLUMN savings.pins.version IS 'Grows with each PIN that is set; what was proven by an older one is void.';
COMMENT ON COLUMN savings.pins.wrong_tries IS 'Wrong tries in a row. Tries during a lock are not made and do not count.';
COMMENT ON COLUMN savings.pins.reset_at IS 'When it was last replaced without the PIN before it, after a new sign-in.';

ALTER TABLE savings.pins ENABLE ROW LEVEL SECURITY;
CREATE POLICY pins_of_the_saver ON savings.pins TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT, UPDATE (hash, version, wrong_tries, locked_until, set_at, reset_at) ON savings.pins TO zanari_api;
CREATE POLICY pins_for_the_system ON savings.pins TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.pins TO zanari_system;

CREATE TABLE savings.step_up_tokens (
    saver_id uuid NOT NULL CONSTRAINT step_up_tokens_saver_exists REFERENCES savings.savers,
    token_hash bytea NOT NULL CONSTRAINT step_up_tokens_hash_length CHECK (octet_length(token_hash) = 32),
    purpose text NOT NULL CONSTRAINT step_up_tokens_purpose_known CHECK (purpose IN ('withdrawal')),
    pin_version integer NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    spent_at timestamptz,
    CONSTRAINT step_up_tokens_pkey PRIMARY KEY (saver_id, token_hash),
    CONSTRAINT step_up_tokens_expire_later CHECK (expires_at > created_at)
);
COMMENT ON TABLE savings.step_up_tokens IS
    'Each right PIN''s token: good once, for one purpose, for minutes. Spent in the transaction of what it allowed.';
COMMENT ON COLUMN savings.step_up_tokens.token_hash IS 'SHA-256 of the token''s 32 random bytes as they were handed out; the token itself is kept nowhere.';
COMMENT ON COLUMN savings.step_up_tokens.pin_version IS 'The PIN that was proven. When another is set, the token is void.';
CREATE INDEX step_up_tokens_by_end ON savings.step_up_tokens (expires_at);

ALTER TABLE savings.step_up_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY step_up_tokens_read_by_the_saver ON savings.step_up_tokens FOR SELECT TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
CREATE POLICY step_up_tokens_earned_by_the_saver ON savings.step_up_tokens FOR INSERT TO zanari_api
    WITH CHECK (saver_id = (SELECT savings.current_saver_id()));
-- What is spent stays spent.
CREATE POLICY step_up_tokens_spent_once ON savings.step_up_tokens FOR UPDATE TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()) AND spent_at IS NULL)
    WITH CHECK (saver_id = (SELECT savings.current_saver_id()) AND spent_at IS NOT NULL);
GRANT SELECT, INSERT (saver_id, token_hash, purpose, pin_version, created_at, expires_at), UPDATE (spent_at)
    ON savings.step_up_tokens TO zanari_api;
CREATE POLICY step_up_tokens_for_the_system ON savings.step_up_tokens TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.step_up_tokens TO zanari_system;

CREATE TABLE savings.payout_holds (
    saver_id uuid NOT NULL CONSTRAINT payout_holds_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    cause text NOT NULL CONSTRAINT payout_holds_cause_known
        CHECK (cause IN ('pin_reset', 'number_added', 'number_moved', 'number_proven_again')),
    held_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT payout_holds_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT payout_holds_end_later CHECK (held_until > created_at)
);
COMMENT ON TABLE savings.payout_holds IS
    'Why and until when a saver''s payouts wait: written once and never changed. The latest end counts.';
COMMENT ON COLUMN savings.payout_holds.cause IS
    'number_moved: it was another saver''s until then. number_proven_again: this saver had it, lost it and proved it again.';
CREATE INDEX payout_holds_by_end ON savings.payout_holds (saver_id, held_until);

ALTER TABLE savings.payout_holds ENABLE ROW LEVEL SECURITY;
CREATE POLICY payout_holds_of_the_saver ON savings.payout_holds TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT ON savings.payout_holds TO zanari_api;
CREATE POLICY payout_holds_for_the_system ON savings.payout_holds TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.payout_holds TO zanari_system;
