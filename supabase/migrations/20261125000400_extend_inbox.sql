-- The inbox takes every callback and is worked on: what could not be acted on at once is a row to come back to. Suspense
-- items get an end, and pulls of lost confirmations a memory.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Callbacks -----------------------------------------------------------------------------------------------
ALTER TABLE mpesa.callbacks
    ADD COLUMN note text,
    ADD COLUMN source_listed boolean,
    ADD COLUMN due_at timestamptz,
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN lease_until timestamptz,
    ADD COLUMN lease_id uuid,
    ADD COLUMN dead_at timestamptz,
    ADD COLUMN last_error text;
COMMENT ON COLUMN mpesa.callbacks.note IS 'Why it moved nothing, in one code, where that needs saying.';
COMMENT ON COLUMN mpesa.callbacks.source_listed IS
    'Whether a delivery came from an address that Safaricom publishes; null where that was not looked at.';
COMMENT ON COLUMN mpesa.callbacks.due_at IS 'When the worker looks at it next; null: nothing is left to do by itself.';
COMMENT ON COLUMN mpesa.callbacks.attempts IS 'How often acting on it failed since it last went well.';
COMMENT ON COLUMN mpesa.callbacks.dead_at IS 'When it had failed so often that the worker left it to a person.';
-- A migration is one transaction, which an index that is built beside writers cannot be part of. What is read for
-- these is what has come in until now; a callback that has to wait meanwhile gets a 503 at worst, and is sent again.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX callbacks_due ON mpesa.callbacks (due_at) WHERE due_at IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX callbacks_quarantined ON mpesa.callbacks (kind) WHERE outcome = 'quarantined';

-- Suspense ------------------------------------------------------------------------------------------------
ALTER TABLE mpesa.suspense_items
    ADD COLUMN state text NOT NULL DEFAULT 'held',
    ADD COLUMN resolved_at timestamptz,
    ADD COLUMN resolved_by text,
    ADD COLUMN evidence text,
    ADD COLUMN return_receipt text;
-- squawk-ignore ban-drop-constraint
ALTER TABLE mpesa.suspense_items DROP CONSTRAINT suspense_items_reason_known;
ALTER TABLE mpesa.suspense_items
    -- Validated in a file of its own, so that this one holds no lock while rows are looked at.
    ADD CONSTRAINT suspense_items_reason_known
        CHECK (reason IN ('no_reference', 'unknown_member', 'unknown_intent')) NOT VALID,
    ADD CONSTRAINT suspense_items_state_known CHECK (state IN ('held', 'assigned', 'returned')) NOT VALID,
    ADD CONSTRAINT suspense_items_resolved_by_somebody CHECK (
        (state = 'held') = (resolved_at IS NULL)
        AND (state = 'held') = (resolved_by IS NULL)
        AND (state = 'held') = (evidence IS NULL)
    ) NOT VALID,
    ADD CONSTRAINT suspense_items_resolved_by_length CHECK (char_length(resolved_by) BETWEEN 1 AND 100) NOT VALID,
    ADD CONSTRAINT suspense_items_evidence_length CHECK (char_length(evidence) BETWEEN 1 AND 1000) NOT VALID,
    ADD CONSTRAINT suspense_items_returned_with_receipt
        CHECK ((state = 'returned') = (return_receipt IS NOT NULL)) NOT VALID;
COMMENT ON COLUMN mpesa.suspense_items.state IS
    'held: in the suspense account. assigned: credited to a saver. returned: M-PESA gave it back to the payer.';
COMMENT ON COLUMN mpesa.suspense_items.resolved_by IS 'The operator, or what matched it after all.';
COMMENT ON COLUMN mpesa.suspense_items.return_receipt IS 'M-PESA''s receipt of the reversal that gave the money back.';
-- One reversal gives one payment back. Few payments are ever held, so these are built at once.
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX suspense_items_returned_once ON mpesa.suspense_items (return_receipt);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX suspense_items_by_state ON mpesa.suspense_items (state, event_at);
GRANT UPDATE (state, resolved_at, resolved_by, evidence, return_receipt) ON mpesa.suspense_items TO zanari_system;

-- Pulls ---------------------------------------------------------------------------------------------------
CREATE TABLE mpesa.pulls (
    shortcode text CONSTRAINT pulls_pkey PRIMARY KEY,
    registered_at timestamptz NOT NULL,
    pulled_until timestamptz
);
COMMENT ON TABLE mpesa.pulls IS 'For each shortcode that is pulled: when Safaricom was told so, and how far its payments are known.';
COMMENT ON COLUMN mpesa.pulls.pulled_until IS 'Every payment that Safaricom listed until then is in our books or the inbox.';

ALTER TABLE mpesa.pulls ENABLE ROW LEVEL SECURITY;
CREATE POLICY pulls_for_the_system ON mpesa.pulls TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON mpesa.pulls TO zanari_system;
