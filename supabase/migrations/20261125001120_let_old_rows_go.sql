-- What is kept for so many days only can go: bodies of callbacks leave their rows, which stay as what they were counted
-- for; hashes of spends that matched nobody, answers of requests and step-up tokens are deleted.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE mpesa.callbacks ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN mpesa.callbacks.body IS
    'The raw body, encrypted under the inbox''s own data key; empty once it is erased, 90 days after it came.';
COMMENT ON COLUMN mpesa.callbacks.erased_at IS 'When the body was erased. The row and its dedupe hash stay.';
-- A migration is one transaction, which an index that is built beside writers cannot be part of; a callback that has to
-- wait meanwhile gets a 503 at worst, and is sent again.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX callbacks_with_body ON mpesa.callbacks (received_at) WHERE erased_at IS NULL;

COMMENT ON TABLE mpesa.unmatched_spends IS
    'Spends whose number no saver had linked: keyed hashes only, kept for 30 days. They consume nothing; a later delivery may match.';
GRANT DELETE ON mpesa.unmatched_spends TO zanari_system;
GRANT DELETE ON runtime.idempotency_keys TO zanari_system;
GRANT DELETE ON savings.step_up_tokens TO zanari_system;
