-- Intents: what we ask a saver's M-PESA for by STK push, stored before anybody is asked. Deposits learn of them, and of
-- channels beside C2B; linked numbers learn which is the default and when each was last proven.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Intents -------------------------------------------------------------------------------------------------
CREATE TABLE savings.intents (
    saver_id uuid NOT NULL CONSTRAINT intents_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    purpose text NOT NULL CONSTRAINT intents_purpose_known CHECK (purpose IN ('deposit', 'collection', 'account_link')),
    reference text NOT NULL
        CONSTRAINT intents_reference_unique UNIQUE
        CONSTRAINT intents_reference_form CHECK (reference ~ '^Z[0-9]{11}$'),
    shortcode text NOT NULL CONSTRAINT intents_shortcode_digits CHECK (shortcode ~ '^[0-9]{5,9}$'),
    amount_cents bigint NOT NULL
        CONSTRAINT intents_amount_bounds CHECK (amount_cents BETWEEN 100 AND 25000000)
        CONSTRAINT intents_amount_whole_shillings CHECK (amount_cents % 100 = 0),
    goal_id uuid,
    account_id uuid,
    msisdn bytea NOT NULL,
    blind_index bytea NOT NULL,
    state text NOT NULL DEFAULT 'requested'
        CONSTRAINT intents_state_known CHECK (state IN ('requested', 'prompted', 'settled', 'failed', 'unresolved')),
    reason text CONSTRAINT intents_reason_named CHECK (reason ~ '^[a-z][a-z0-9_]{0,62}$'),
    requested_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    open_until timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    submitting_at timestamptz,
    prompted_at timestamptz,
    finished_at timestamptz,
    checkout_hash bytea CONSTRAINT intents_checkout_unique UNIQUE,
    checkout_request_id bytea,
    receipt text CONSTRAINT intents_receipt_unique UNIQUE,
    settled_by text CONSTRAINT intents_settled_by_known
        CHECK (settled_by IN ('stk_callback', 'stk_query', 'c2b', 'pull', 'statement', 'operator')),
    due_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    lease_id uuid,
    dead_at timestamptz,
    last_error text,
    CONSTRAINT intents_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT intents_goal_exists FOREIGN KEY (saver_id, goal_id) REFERENCES savings.goals (saver_id, id),
    CONSTRAINT intents_account_exists FOREIGN KEY (saver_id, account_id) REFERENCES savings.mpesa_accounts (saver_id, id),
    CONSTRAINT intents_checkout_whole CHECK (
        num_nulls(checkout_hash, checkout_request_id, prompted_at) IN (0, 3)
    ),
    CONSTRAINT intents_prompted_with_handle CHECK (state <> 'prompted' OR checkout_hash IS NOT NULL),
    CONSTRAINT intents_failed_for_a_reason CHECK (state <> 'failed' OR reason IS NOT NULL),
    CONSTRAINT intents_finished_at_end CHECK ((finished_at IS NOT NULL) = (state IN ('settled', 'failed'))),
    CONSTRAINT intents_settled_by_something CHECK ((settled_by IS NOT NULL) = (state = 'settled')),
    CONSTRAINT intents_receipt_of_settled CHECK (receipt IS NULL OR state = 'settled'),
    CONSTRAINT intents_link_of_nothing CHECK (purpose <> 'account_link' OR num_nonnulls(goal_id, account_id) = 0)
);
COMMENT ON TABLE savings.intents IS
    'What we ask a saver''s M-PESA for by STK push: stored before the push, settled once, whatever tells us of the payment first.';
COMMENT ON COLUMN savings.intents.id IS 'Also the id of the collection''s or deposit''s part in the answer to a saver.';
COMMENT ON COLUMN savings.intents.reference IS 'The AccountReference of the push, which the C2B confirmation of its payment repeats.';
COMMENT ON COLUMN savings.intents.msisdn IS 'The number to prompt, encrypted under the saver''s data key, as is checkout_request_id.';
COMMENT ON COLUMN savings.intents.not_before IS 'The prompt is sent no earlier.';
COMMENT ON COLUMN savings.intents.open_until IS 'Until then, or until it is definite, no other prompt of this saver is shown.';
COMMENT ON COLUMN savings.intents.expires_at IS 'A day after it may first be sent: an outcome still unknown then is a break.';
COMMENT ON COLUMN savings.intents.submitting_at IS 'Committed before the socket opens: from then on the push may have been heard.';
COMMENT ON COLUMN savings.intents.finished_at IS 'When we learnt of its end. A failure may still turn into a success, never the other way.';
COMMENT ON COLUMN savings.intents.checkout_hash IS 'Keyed hash of Safaricom''s CheckoutRequestID, which holds digits of the number.';
COMMENT ON COLUMN savings.intents.receipt IS 'Null on a settled one whose success was told by a query: its receipt is still to come.';
COMMENT ON COLUMN savings.intents.due_at IS 'When the worker looks at it next: to send it, to ask what became of it, to miss its receipt.';
CREATE INDEX intents_newest_first ON savings.intents (saver_id, requested_at DESC, id DESC);
CREATE INDEX intents_by_number ON savings.intents (blind_index, amount_cents, submitting_at);
CREATE INDEX intents_to_prompt ON savings.intents (due_at) WHERE state = 'requested' AND dead_at IS NULL;
CREATE INDEX intents_to_check ON savings.intents (due_at) WHERE state <> 'requested' AND dead_at IS NULL;
CREATE INDEX intents_dead ON savings.intents (dead_at) WHERE dead_at IS NOT NULL;

ALTER TABLE savings.intents ENABLE ROW LEVEL SECURITY;
-- A saver asks, reads, and may take back what was not sent; all else is the system's.
CREATE POLICY intents_read_by_the_saver ON savings.intents FOR SELECT TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
CREATE POLICY intents_requested_by_the_saver ON savings.intents FOR INSERT TO zanari_api
    WITH CHECK (saver_id = (SELECT savings.current_saver_id()) AND state = 'requested');
CREATE POLICY intents_taken_back_by_the_saver ON savings.intents FOR UPDATE TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()) AND state = 'requested' AND submitting_at IS NULL)
    WITH CHECK (saver_id = (SELECT savings.current_saver_id()) AND state = 'failed');
GRANT SELECT,
    INSERT (
        saver_id, id, purpose, reference, shortcode, amount_cents, goal_id, account_id, msisdn, blind_index,
        requested_at, not_before, open_until, expires_at, due_at
    ),
    UPDATE (state, reason, finished_at, due_at, lease_until, lease_id)
    ON savings.intents TO zanari_api;
CREATE POLICY intents_for_the_system ON savings.intents TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.intents TO zanari_system;

CREATE TABLE savings.intent_events (
    saver_id uuid NOT NULL,
    id uuid NOT NULL,
    intent_id uuid NOT NULL,
    state text NOT NULL
        CONSTRAINT intent_events_state_known
        CHECK (state IN ('requested', 'submitting', 'prompted', 'settled', 'failed', 'unresolved')),
    cause text NOT NULL CONSTRAINT intent_events_cause_named CHECK (cause ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
    callback_id uuid,
    receipt text,
    happened_at timestamptz NOT NULL,
    CONSTRAINT intent_events_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT intent_events_intent_exists FOREIGN KEY (saver_id, intent_id) REFERENCES savings.intents (saver_id, id)
);
COMMENT ON TABLE savings.intent_events IS
    'Every step of an intent with its cause, and each piece of evidence for the state it is in. Written with the step and never changed.';
CREATE INDEX intent_events_of_one ON savings.intent_events (saver_id, intent_id, happened_at);

ALTER TABLE savings.intent_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY intent_events_read_by_the_saver ON savings.intent_events FOR SELECT TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
-- A request writes down that it asked, or took back. Evidence is the system's.
CREATE POLICY intent_events_of_requests ON savings.intent_events FOR INSERT TO zanari_api
    WITH CHECK (
        saver_id = (SELECT savings.current_saver_id())
        AND state IN ('requested', 'failed') AND callback_id IS NULL AND receipt IS NULL
    );
GRANT SELECT, INSERT ON savings.intent_events TO zanari_api;
CREATE POLICY intent_events_for_the_system ON savings.intent_events TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.intent_events TO zanari_system;

-- Deposits ------------------------------------------------------------------------------------------------
-- A query may tell of a success before any receipt does. Of a deposit's receipt the release before asks only whether it
-- is a certain one, and of the channel nothing: neither change reaches it.
-- squawk-ignore ban-drop-not-null
ALTER TABLE savings.deposits ALTER COLUMN receipt DROP NOT NULL;
ALTER TABLE savings.deposits ADD COLUMN intent_id uuid;
-- squawk-ignore ban-drop-constraint
ALTER TABLE savings.deposits DROP CONSTRAINT deposits_channel_known;
ALTER TABLE savings.deposits
    -- Validated in a file of its own, so that this one holds no lock while rows are looked at.
    ADD CONSTRAINT deposits_channel_known
        CHECK (channel IN ('c2b', 'stk_callback', 'stk_query', 'pull', 'statement', 'operator')) NOT VALID,
    ADD CONSTRAINT deposits_receipt_unless_queried CHECK (receipt IS NOT NULL OR channel = 'stk_query') NOT VALID;
COMMENT ON COLUMN savings.deposits.intent_id IS 'The intent it settled; null where the payer paid our paybill unasked.';
COMMENT ON COLUMN savings.deposits.channel IS 'What told us of the payment first.';

-- The one change a deposit may see: the receipt that a query could not tell.
CREATE POLICY deposits_receipt_attached_once ON savings.deposits AS RESTRICTIVE FOR UPDATE TO zanari_system
    USING (receipt IS NULL) WITH CHECK (receipt IS NOT NULL);
GRANT UPDATE (receipt) ON savings.deposits TO zanari_system;

-- Linked numbers ------------------------------------------------------------------------------------------
ALTER TABLE savings.mpesa_accounts ADD COLUMN made_default_at timestamptz, ADD COLUMN proven_at timestamptz;
COMMENT ON COLUMN savings.mpesa_accounts.made_default_at IS
    'When the saver chose it. The default is the linked number chosen last; where none was chosen, the one linked first.';
COMMENT ON COLUMN savings.mpesa_accounts.proven_at IS 'When it was last proven to be the saver''s; null: when it was linked.';
-- A saver chooses a default and unlinks; who may link is decided by proof alone.
CREATE POLICY mpesa_accounts_ended_once ON savings.mpesa_accounts AS RESTRICTIVE FOR UPDATE TO zanari_api
    USING (unlinked_at IS NULL)
    WITH CHECK (unlinked_because IS NULL OR unlinked_because = 'removed_by_saver');
GRANT UPDATE (made_default_at, unlinked_at, unlinked_because) ON savings.mpesa_accounts TO zanari_api;

CREATE TABLE savings.refused_links (
    saver_id uuid NOT NULL CONSTRAINT refused_links_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    refused_at timestamptz NOT NULL,
    CONSTRAINT refused_links_pkey PRIMARY KEY (saver_id, id)
);
COMMENT ON TABLE savings.refused_links IS
    'Each time a saver asked for a number that another saver holds: counted, since the answer tells that somebody does. Not which.';

ALTER TABLE savings.refused_links ENABLE ROW LEVEL SECURITY;
CREATE POLICY refused_links_of_the_saver ON savings.refused_links TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT ON savings.refused_links TO zanari_api;
CREATE POLICY refused_links_for_the_system ON savings.refused_links TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.refused_links TO zanari_system;

-- Row level security shows a saver no other's numbers, and a request has to know of one thing about them.
CREATE FUNCTION savings.number_in_use(number_index bytea, proven_since timestamptz) RETURNS boolean
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = ''
AS $$
    SELECT EXISTS (
        SELECT
          FROM savings.mpesa_accounts AS a
         WHERE a.blind_index = number_index AND a.unlinked_at IS NULL
           AND a.saver_id IS DISTINCT FROM savings.current_saver_id()
           AND coalesce(a.proven_at, a.linked_at) > proven_since
    )
$$;
COMMENT ON FUNCTION savings.number_in_use(bytea, timestamptz) IS
    'Whether a saver other than the one who asks holds this number and proved it since then. Says not who.';
REVOKE ALL ON FUNCTION savings.number_in_use(bytea, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION savings.number_in_use(bytea, timestamptz) TO zanari_api, zanari_system;
