-- What came of the worker's verifications of the chain. How far one has come is in the worker's memory alone: a
-- resume point that is stored is one that somebody can move to the end.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE runtime.chain_verification (
    id smallint CONSTRAINT chain_verification_pkey PRIMARY KEY CONSTRAINT chain_verification_only_one CHECK (id = 1),
    bad_rows bigint NOT NULL DEFAULT 0,
    finished_at timestamptz
);
COMMENT ON TABLE runtime.chain_verification IS
    'One row: what the last verification of the whole chain found, and when.';
COMMENT ON COLUMN runtime.chain_verification.bad_rows IS 'Bad rows that stand: of the last whole pass, or of the running one if it has found more.';
INSERT INTO runtime.chain_verification (id) VALUES (1);

ALTER TABLE runtime.chain_verification ENABLE ROW LEVEL SECURITY;
CREATE POLICY chain_verification_for_the_system ON runtime.chain_verification TO zanari_system USING (true);
GRANT SELECT, UPDATE ON runtime.chain_verification TO zanari_system;
