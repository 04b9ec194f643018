-- What the purge of bodies reads. Its own file, so that the lock on the inbox is the one of building an index, which
-- keeps writers out, and every callback is one: a listener that answers 503 may never be told that thing again. So it
-- gives up within seconds, and an inbox that takes longer has the index built beside its writers first.
SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '3s';

DO $$
BEGIN
    -- Even IF NOT EXISTS would wait for the lock.
    IF to_regclass('mpesa.callbacks_with_body') IS NULL THEN
        CREATE INDEX callbacks_with_body ON mpesa.callbacks (received_at) WHERE erased_at IS NULL;
    END IF;
    -- What was built beforehand may have been broken off halfway, or be another index of this name.
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
         WHERE i.indexrelid = 'mpesa.callbacks_with_body'::regclass AND i.indisvalid
           AND pg_catalog.pg_get_indexdef(i.indexrelid)
               = 'CREATE INDEX callbacks_with_body ON mpesa.callbacks USING btree (received_at) WHERE (erased_at IS NULL)'
    ) THEN
        RAISE EXCEPTION 'mpesa.callbacks_with_body is not the index it should be, or was built halfway'
            USING HINT = 'DROP INDEX CONCURRENTLY mpesa.callbacks_with_body, and migrate again.';
    END IF;
EXCEPTION WHEN query_canceled OR lock_not_available THEN
    RAISE EXCEPTION 'the inbox is too large or too busy for its index to be built while callbacks wait'
        USING ERRCODE = SQLSTATE,
              HINT = 'CREATE INDEX CONCURRENTLY callbacks_with_body ON mpesa.callbacks (received_at) WHERE erased_at IS NULL; and migrate again.';
END
$$;
