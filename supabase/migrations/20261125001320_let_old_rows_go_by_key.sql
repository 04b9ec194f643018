-- Each batch of what is let go of is looked up by its keys. As a join, it was taken for a tenth of the table, and the
-- whole table was read beside it.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '5s';

CREATE OR REPLACE FUNCTION mpesa.forget_unmatched_spends(seen_before timestamptz, at_most bigint) RETURNS bigint
LANGUAGE sql VOLATILE
SECURITY DEFINER
SET search_path = ''
AS $$
    WITH old AS MATERIALIZED (
        SELECT receipt_hash, number_hash
          FROM mpesa.unmatched_spends
         WHERE first_seen_at < least(seen_before, now() - interval '30 days')
         ORDER BY first_seen_at
         LIMIT at_most
           FOR UPDATE SKIP LOCKED
    ), deleted AS (
        DELETE FROM mpesa.unmatched_spends AS gone
         USING unnest(ARRAY(SELECT receipt_hash FROM old), ARRAY(SELECT number_hash FROM old)) AS known (receipt_hash, number_hash)
         WHERE gone.receipt_hash = known.receipt_hash AND gone.number_hash = known.number_hash
        RETURNING gone.receipt_hash
    )
    SELECT count(*) FROM deleted
$$;

CREATE OR REPLACE FUNCTION runtime.forget_answers(stored_before timestamptz, at_most bigint) RETURNS bigint
LANGUAGE sql VOLATILE
SECURITY DEFINER
SET search_path = ''
AS $$
    WITH old AS MATERIALIZED (
        SELECT saver_id, key
          FROM runtime.idempotency_keys
         WHERE created_at < least(stored_before, now() - interval '30 days')
         ORDER BY created_at
         LIMIT at_most
           FOR UPDATE SKIP LOCKED
    ), deleted AS (
        DELETE FROM runtime.idempotency_keys AS gone
         USING unnest(ARRAY(SELECT saver_id FROM old), ARRAY(SELECT key FROM old)) AS known (saver_id, key)
         WHERE gone.saver_id = known.saver_id AND gone.key = known.key
        RETURNING gone.saver_id
    )
    SELECT count(*) FROM deleted
$$;

CREATE OR REPLACE FUNCTION savings.forget_step_up_tokens(expired_before timestamptz, at_most bigint) RETURNS bigint
LANGUAGE sql VOLATILE
SECURITY DEFINER
SET search_path = ''
AS $$
    WITH old AS MATERIALIZED (
        SELECT saver_id, token_hash
          FROM savings.step_up_tokens
         WHERE expires_at < least(expired_before, now())
         ORDER BY expires_at
         LIMIT at_most
           FOR UPDATE SKIP LOCKED
    ), deleted AS (
        DELETE FROM savings.step_up_tokens AS gone
         USING unnest(ARRAY(SELECT saver_id FROM old), ARRAY(SELECT token_hash FROM old)) AS known (saver_id, token_hash)
         WHERE gone.saver_id = known.saver_id AND gone.token_hash = known.token_hash
        RETURNING gone.saver_id
    )
    SELECT count(*) FROM deleted
$$;
