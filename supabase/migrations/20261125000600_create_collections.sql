-- Collections: what was asked of a saver's M-PESA, for which round-ups, and when to look at the next one.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- What of an accrual is money by now, and what it waits for ------------------------------------------------
ALTER TABLE savings.accruals
    ADD COLUMN settled_cents bigint NOT NULL DEFAULT 0,
    ADD COLUMN collection_id uuid,
    ADD COLUMN cancelled_at timestamptz;
ALTER TABLE savings.accruals
    ADD CONSTRAINT accruals_settled_once CHECK (settled_cents BETWEEN 0 AND amount_cents) NOT VALID,
    ADD CONSTRAINT accruals_settled_when_whole
        CHECK ((status = 'settled') = (settled_cents = amount_cents)) NOT VALID;
COMMENT ON COLUMN savings.accruals.settled_cents IS 'What of it has become money in goals. Each cent settles at most once; the rest waits.';
COMMENT ON COLUMN savings.accruals.collection_id IS
    'The open collection that it waits for. Means something while the accrual waits; no other collection takes it meanwhile.';
COMMENT ON COLUMN savings.accruals.cancelled_at IS 'When a reversal cancelled what was not settled.';

-- A saver's request binds accruals and settles them from the wallet. To cancel one is the system's.
GRANT UPDATE (status, settled_cents, collection_id, updated_at) ON savings.accruals TO zanari_api;

-- Collections -----------------------------------------------------------------------------------------------
CREATE TABLE savings.collections (
    saver_id uuid NOT NULL CONSTRAINT collections_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    intent_id uuid NOT NULL CONSTRAINT collections_intent_unique UNIQUE,
    amount_cents bigint NOT NULL
        CONSTRAINT collections_amount_whole_shillings CHECK (amount_cents > 0 AND amount_cents % 100 = 0),
    fee_cents bigint NOT NULL CONSTRAINT collections_fee_not_negative CHECK (fee_cents >= 0),
    tariff_valid_from date NOT NULL,
    state text NOT NULL DEFAULT 'requested'
        CONSTRAINT collections_state_known
        CHECK (state IN ('requested', 'settled', 'failed', 'skipped', 'unresolved')),
    requested_by text NOT NULL
        CONSTRAINT collections_requested_by_known CHECK (requested_by IN ('schedule', 'saver')),
    prompts_at timestamptz NOT NULL,
    reason text,
    receipt text,
    to_wallet_cents bigint,
    settled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT collections_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT collections_intent_exists FOREIGN KEY (saver_id, intent_id) REFERENCES savings.intents (saver_id, id),
    CONSTRAINT collections_settled_whole CHECK (
        (state = 'settled') = (settled_at IS NOT NULL) AND (state = 'settled') = (to_wallet_cents IS NOT NULL)
    ),
    CONSTRAINT collections_receipt_of_settled CHECK (receipt IS NULL OR state = 'settled'),
    CONSTRAINT collections_failed_for_a_reason CHECK (state <> 'failed' OR reason IS NOT NULL),
    CONSTRAINT collections_to_wallet_bounds CHECK (to_wallet_cents BETWEEN 0 AND amount_cents)
);
COMMENT ON TABLE savings.collections IS
    'Each STK push for round-ups that wait. Whether its prompt was sent is told by the intent; what it did to accruals, here.';
COMMENT ON COLUMN savings.collections.fee_cents IS 'What M-PESA charges the saver for this payment, under the tariff named beside it.';
COMMENT ON COLUMN savings.collections.prompts_at IS 'When the prompt is sent at the earliest; until then the saver can skip it.';
COMMENT ON COLUMN savings.collections.to_wallet_cents IS
    'What of the money went to the wallet, because its round-ups were saved or cancelled meanwhile.';
CREATE INDEX collections_newest_first ON savings.collections (saver_id, created_at DESC, id DESC);
CREATE INDEX collections_by_prompt ON savings.collections (saver_id, prompts_at DESC);
CREATE INDEX collections_by_receipt ON savings.collections (receipt) WHERE receipt IS NOT NULL;

ALTER TABLE savings.collections ENABLE ROW LEVEL SECURITY;
-- A saver asks, reads, and may skip what was not sent; all else is the system's.
CREATE POLICY collections_read_by_the_saver ON savings.collections FOR SELECT TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
CREATE POLICY collections_requested_by_the_saver ON savings.collections FOR INSERT TO zanari_api
    WITH CHECK (saver_id = (SELECT savings.current_saver_id()) AND state = 'requested');
CREATE POLICY collections_skipped_by_the_saver ON savings.collections FOR UPDATE TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()) AND state = 'requested')
    WITH CHECK (saver_id = (SELECT savings.current_saver_id()) AND state = 'skipped');
GRANT SELECT,
    INSERT (
        saver_id, id, intent_id, amount_cents, fee_cents, tariff_valid_from, requested_by, prompts_at, created_at
    ),
    UPDATE (state, updated_at)
    ON savings.collections TO zanari_api;
CREATE POLICY collections_for_the_system ON savings.collections TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.collections TO zanari_system;

CREATE TABLE savings.collection_items (
    saver_id uuid NOT NULL,
    collection_id uuid NOT NULL,
    spend_id uuid NOT NULL,
    place integer NOT NULL,
    amount_cents bigint NOT NULL CONSTRAINT collection_items_amount_positive CHECK (amount_cents > 0),
    settled_cents bigint,
    outcome text CONSTRAINT collection_items_outcome_known
        CHECK (outcome IN ('settled', 'settled_before', 'cancelled')),
    CONSTRAINT collection_items_pkey PRIMARY KEY (saver_id, collection_id, spend_id),
    CONSTRAINT collection_items_collection_exists
        FOREIGN KEY (saver_id, collection_id) REFERENCES savings.collections,
    CONSTRAINT collection_items_accrual_exists FOREIGN KEY (saver_id, spend_id) REFERENCES savings.accruals,
    CONSTRAINT collection_items_settled_bounds CHECK (settled_cents BETWEEN 0 AND amount_cents),
    CONSTRAINT collection_items_settled_with_outcome CHECK ((settled_cents IS NULL) = (outcome IS NULL)),
    CONSTRAINT collection_items_outcome_says_how_much CHECK ((outcome = 'settled') = (settled_cents = amount_cents))
);
COMMENT ON TABLE savings.collection_items IS
    'Which round-ups a collection is for, in order; the last may be covered in part. What became of each when the money came.';
COMMENT ON COLUMN savings.collection_items.outcome IS
    'settled: all of it went to the goals. Else the rest went to the wallet, because the accrual was settled_before or cancelled.';

ALTER TABLE savings.collection_items ENABLE ROW LEVEL SECURITY;
CREATE POLICY collection_items_of_the_saver ON savings.collection_items TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT (saver_id, collection_id, spend_id, place, amount_cents) ON savings.collection_items TO zanari_api;
CREATE POLICY collection_items_for_the_system ON savings.collection_items TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.collection_items TO zanari_system;

-- Where the money of an accrual went --------------------------------------------------------------------------
CREATE TABLE savings.accrual_shares (
    saver_id uuid NOT NULL,
    spend_id uuid NOT NULL,
    goal_id uuid NOT NULL,
    source_id uuid NOT NULL,
    amount_cents bigint NOT NULL CONSTRAINT accrual_shares_amount_positive CHECK (amount_cents > 0),
    CONSTRAINT accrual_shares_pkey PRIMARY KEY (saver_id, spend_id, source_id, goal_id),
    CONSTRAINT accrual_shares_accrual_exists FOREIGN KEY (saver_id, spend_id) REFERENCES savings.accruals,
    CONSTRAINT accrual_shares_goal_exists FOREIGN KEY (saver_id, goal_id) REFERENCES savings.goals
);
COMMENT ON TABLE savings.accrual_shares IS
    'What each goal really got of an accrual, by the payment that brought it. A goal closed meanwhile left its part to the default goal.';
COMMENT ON COLUMN savings.accrual_shares.source_id IS 'The collection, or the payment from the wallet, whose transfer moved it.';

ALTER TABLE savings.accrual_shares ENABLE ROW LEVEL SECURITY;
CREATE POLICY accrual_shares_of_the_saver ON savings.accrual_shares TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT ON savings.accrual_shares TO zanari_api;
CREATE POLICY accrual_shares_for_the_system ON savings.accrual_shares TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.accrual_shares TO zanari_system;

-- When to look at a saver's accruals --------------------------------------------------------------------------
CREATE TABLE savings.collection_plans (
    saver_id uuid CONSTRAINT collection_plans_pkey PRIMARY KEY
        CONSTRAINT collection_plans_saver_exists REFERENCES savings.savers,
    cool_down_until timestamptz,
    declined_in_a_row integer NOT NULL DEFAULT 0
        CONSTRAINT collection_plans_declined_not_negative CHECK (declined_in_a_row >= 0),
    paused boolean NOT NULL DEFAULT false,
    due_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    lease_id uuid,
    dead_at timestamptz,
    last_error text,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE savings.collection_plans IS
    'One row a saver with accruals: the job that asks for collections, and what keeps it from asking. Written under the saver''s lock.';
COMMENT ON COLUMN savings.collection_plans.due_at IS 'When to look at the saver''s accruals; null while nothing but an event can change anything.';
COMMENT ON COLUMN savings.collection_plans.declined_in_a_row IS 'Prompts that the saver turned down or left unanswered since the last one that was paid.';
COMMENT ON COLUMN savings.collection_plans.paused IS 'Too many in a row: nothing is asked until the saver asks for a collection or changes the rule.';
CREATE INDEX collection_plans_due ON savings.collection_plans (due_at) WHERE due_at IS NOT NULL AND dead_at IS NULL;
CREATE INDEX collection_plans_dead ON savings.collection_plans (dead_at) WHERE dead_at IS NOT NULL;

ALTER TABLE savings.collection_plans ENABLE ROW LEVEL SECURITY;
CREATE POLICY collection_plans_of_the_saver ON savings.collection_plans TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT (saver_id, cool_down_until, declined_in_a_row, paused, due_at),
    UPDATE (cool_down_until, declined_in_a_row, paused, due_at, updated_at) ON savings.collection_plans TO zanari_api;
CREATE POLICY collection_plans_for_the_system ON savings.collection_plans TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.collection_plans TO zanari_system;

-- Round-ups that were waiting before there were collections.
INSERT INTO savings.collection_plans (saver_id, due_at)
SELECT DISTINCT a.saver_id, now() FROM savings.accruals AS a WHERE a.status = 'waiting';
