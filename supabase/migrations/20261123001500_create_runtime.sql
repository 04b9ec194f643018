-- The service's own state.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE runtime.idempotency_keys (
    saver_id uuid NOT NULL,
    key text NOT NULL CONSTRAINT idempotency_keys_key_length CHECK (char_length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL,
    status smallint NOT NULL CONSTRAINT idempotency_keys_success_only CHECK (status BETWEEN 200 AND 299),
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (saver_id, key)
);
COMMENT ON TABLE runtime.idempotency_keys IS
    'The answer of each effect that carried an Idempotency-Key, stored in the effect''s own transaction. Good for 30 days.';
CREATE INDEX idempotency_keys_by_time ON runtime.idempotency_keys (created_at);

ALTER TABLE runtime.idempotency_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY idempotency_keys_of_the_saver ON runtime.idempotency_keys TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT, UPDATE ON runtime.idempotency_keys TO zanari_api;
CREATE POLICY idempotency_keys_for_the_system ON runtime.idempotency_keys TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON runtime.idempotency_keys TO zanari_system;

CREATE TABLE runtime.data_keys (
    purpose text CONSTRAINT data_keys_pkey PRIMARY KEY
        CONSTRAINT data_keys_purpose_known CHECK (purpose IN ('inbox', 'index')),
    wrapped_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE runtime.data_keys IS
    'Keys of the service itself, wrapped by a PII key: the inbox''s data key, and the key of blind indexes and dedupe hashes.';

ALTER TABLE runtime.data_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY data_keys_for_the_system ON runtime.data_keys TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON runtime.data_keys TO zanari_system;

-- /health/ready compares what was applied with what the build needs.
GRANT USAGE ON SCHEMA supabase_migrations TO zanari_system;
GRANT SELECT ON supabase_migrations.schema_migrations TO zanari_system;
