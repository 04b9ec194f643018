-- How far the worker has come with verifying the chain, and what came of it.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE runtime.chain_verification (
    id smallint CONSTRAINT chain_verification_pkey PRIMARY KEY CONSTRAINT chain_verification_only_one CHECK (id = 1),
    verified_seq bigint NOT NULL DEFAULT 0,
    verified_hash bytea,
    bad_so_far bigint NOT NULL DEFAULT 0,
    bad_rows bigint NOT NULL DEFAULT 0,
    finished_at timestamptz
);
COMMENT ON TABLE runtime.chain_verification IS
    'One row: where the worker''s verification of the chain goes on, and what the last one that came to its end found.';
COMMENT ON COLUMN runtime.chain_verification.bad_so_far IS 'Bad rows that the running pass has found.';
COMMENT ON COLUMN runtime.chain_verification.bad_rows IS 'Bad rows that stand: of the last whole pass, or of the running one if it has found more.';
INSERT INTO runtime.chain_verification (id) VALUES (1);

ALTER TABLE runtime.chain_verification ENABLE ROW LEVEL SECURITY;
CREATE POLICY chain_verification_for_the_system ON runtime.chain_verification TO zanari_system USING (true);
GRANT SELECT, UPDATE ON runtime.chain_verification TO zanari_system;
