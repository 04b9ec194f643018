-- The access token that all processes share: asking Safaricom for one ends the one before.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE runtime.daraja_tokens (
    id uuid CONSTRAINT daraja_tokens_pkey PRIMARY KEY,
    generation bigint NOT NULL DEFAULT 0 CONSTRAINT daraja_tokens_generation_counts CHECK (generation >= 0),
    sealed_token bytea,
    expires_at timestamptz,
    lease_id uuid,
    lease_until timestamptz,
    CONSTRAINT daraja_tokens_token_whole
        CHECK ((sealed_token IS NULL) = (expires_at IS NULL) AND (sealed_token IS NULL) = (generation = 0)),
    CONSTRAINT daraja_tokens_lease_whole CHECK ((lease_id IS NULL) = (lease_until IS NULL))
);
COMMENT ON TABLE runtime.daraja_tokens IS
    'One row per Daraja app and host (id is a keyed hash of both): its current access token, sealed, and who may ask for the next.';

ALTER TABLE runtime.daraja_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY daraja_tokens_for_the_system ON runtime.daraja_tokens TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON runtime.daraja_tokens TO zanari_system;
