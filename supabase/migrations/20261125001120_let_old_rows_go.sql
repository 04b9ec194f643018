-- What is kept for so many days only can go: bodies of callbacks leave their rows, which stay as what they were counted
-- for; hashes of spends that matched nobody, answers of requests and step-up tokens are deleted.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '5s';

COMMENT ON TABLE mpesa.unmatched_spends IS
    'Spends whose number no saver had linked: keyed hashes only, kept for 30 days. They consume nothing; a later delivery may match.';

-- The system deletes nothing, but through these: each takes what is older than it must be kept, by the database's own
-- clock, whatever it is asked for, and leaves what somebody holds for the next time.
CREATE FUNCTION mpesa.forget_unmatched_spends(seen_before timestamptz, at_most bigint) RETURNS bigint
LANGUAGE sql VOLATILE
SECURITY DEFINER
SET search_path = ''
AS $$
    WITH deleted AS (
        DELETE FROM mpesa.unmatched_spends
         WHERE (receipt_hash, number_hash) IN (
                   SELECT old.receipt_hash, old.number_hash
                     FROM mpesa.unmatched_spends AS old
                    WHERE old.first_seen_at < least(seen_before, now() - interval '30 days')
                    ORDER BY old.first_seen_at
                    LIMIT at_most
                      FOR UPDATE SKIP LOCKED
               )
        RETURNING receipt_hash
    )
    SELECT count(*) FROM deleted
$$;
COMMENT ON FUNCTION mpesa.forget_unmatched_spends(timestamptz, bigint) IS
    'Deletes hashes of unmatched spends, none before its 30 days are over; returns how many.';
REVOKE ALL ON FUNCTION mpesa.forget_unmatched_spends(timestamptz, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mpesa.forget_unmatched_spends(timestamptz, bigint) TO zanari_system;

CREATE FUNCTION runtime.forget_answers(stored_before timestamptz, at_most bigint) RETURNS bigint
LANGUAGE sql VOLATILE
SECURITY DEFINER
SET search_path = ''
AS $$
    WITH deleted AS (
        DELETE FROM runtime.idempotency_keys
         WHERE (saver_id, key) IN (
                   SELECT old.saver_id, old.key
                     FROM runtime.idempotency_keys AS old
                    WHERE old.created_at < least(stored_before, now() - interval '30 days')
                    ORDER BY old.created_at
                    LIMIT at_most
                      FOR UPDATE SKIP LOCKED
               )
        RETURNING saver_id
    )
    SELECT count(*) FROM deleted
$$;
COMMENT ON FUNCTION runtime.forget_answers(timestamptz, bigint) IS
    'Deletes answers of requests that are not given again any more, none before its 30 days are over; returns how many.';
REVOKE ALL ON FUNCTION runtime.forget_answers(timestamptz, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION runtime.forget_answers(timestamptz, bigint) TO zanari_system;

CREATE FUNCTION savings.forget_step_up_tokens(expired_before timestamptz, at_most bigint) RETURNS bigint
LANGUAGE sql VOLATILE
SECURITY DEFINER
SET search_path = ''
AS $$
    WITH deleted AS (
        DELETE FROM savings.step_up_tokens
         WHERE (saver_id, token_hash) IN (
                   SELECT old.saver_id, old.token_hash
                     FROM savings.step_up_tokens AS old
                    WHERE old.expires_at < least(expired_before, now())
                    ORDER BY old.expires_at
                    LIMIT at_most
                      FOR UPDATE SKIP LOCKED
               )
        RETURNING saver_id
    )
    SELECT count(*) FROM deleted
$$;
COMMENT ON FUNCTION savings.forget_step_up_tokens(timestamptz, bigint) IS
    'Deletes step-up tokens, spent or not, none before it has run out; returns how many.';
REVOKE ALL ON FUNCTION savings.forget_step_up_tokens(timestamptz, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION savings.forget_step_up_tokens(timestamptz, bigint) TO zanari_system;

-- Last, so that callbacks wait for no more than these lines: nothing is written or read for them. The index over what
-- still has a body is a file of its own.
ALTER TABLE mpesa.callbacks ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN mpesa.callbacks.body IS
    'The raw body, encrypted under the inbox''s own data key; empty once it is erased, 90 days after it came.';
COMMENT ON COLUMN mpesa.callbacks.erased_at IS 'When the body was erased. The row and its dedupe hash stay.';
