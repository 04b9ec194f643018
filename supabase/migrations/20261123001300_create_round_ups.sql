-- The rule, the spends it was applied to, and the round-ups that wait for money.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE savings.round_up_rules (
    saver_id uuid NOT NULL CONSTRAINT round_up_rules_saver_exists REFERENCES savings.savers,
    version integer NOT NULL CONSTRAINT round_up_rules_version_positive CHECK (version > 0),
    in_force_from timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL CONSTRAINT round_up_rules_kind_known CHECK (kind IN ('nearest', 'percentage', 'fixed')),
    step_cents bigint NOT NULL,
    percentage_bp integer NOT NULL,
    fixed_cents bigint NOT NULL,
    multiplier smallint NOT NULL CONSTRAINT round_up_rules_multiplier_bounds CHECK (multiplier BETWEEN 1 AND 10),
    whole_amount text NOT NULL,
    whole_amount_cents bigint NOT NULL,
    min_spend_cents bigint,
    max_spend_cents bigint,
    cap_per_spend_cents bigint,
    cap_per_day_cents bigint,
    cap_per_week_cents bigint,
    cap_per_month_cents bigint,
    balance_floor_cents bigint,
    paused_until timestamptz,
    enabled boolean NOT NULL,
    excluded_kinds text[] NOT NULL,
    excluded_merchants text[] NOT NULL,
    excluded_categories text[] NOT NULL,
    collection_threshold_cents bigint NOT NULL,
    CONSTRAINT round_up_rules_pkey PRIMARY KEY (saver_id, version)
);
COMMENT ON TABLE savings.round_up_rules IS
    'Every version of a saver''s rule. A spend is decided under the version in force when it happened.';

ALTER TABLE savings.round_up_rules ENABLE ROW LEVEL SECURITY;
CREATE POLICY round_up_rules_of_the_saver ON savings.round_up_rules TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT ON savings.round_up_rules TO zanari_api;
CREATE POLICY round_up_rules_for_the_system ON savings.round_up_rules TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.round_up_rules TO zanari_system;

CREATE TABLE savings.spends (
    saver_id uuid NOT NULL CONSTRAINT spends_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    receipt text NOT NULL,
    source text NOT NULL CONSTRAINT spends_source_known CHECK (source IN ('webhook', 'sms', 'statement')),
    kind text NOT NULL,
    amount_cents bigint NOT NULL CONSTRAINT spends_amount_positive CHECK (amount_cents > 0),
    event_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    content_digest bytea NOT NULL,
    outcome text NOT NULL CONSTRAINT spends_outcome_known CHECK (outcome IN ('saved', 'waiting', 'skipped')),
    reason text,
    round_up_cents bigint NOT NULL,
    rule_version integer NOT NULL,
    answer jsonb NOT NULL,
    undone_at timestamptz,
    undone_cents bigint,
    CONSTRAINT spends_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT spends_receipt_counted_once UNIQUE (saver_id, receipt),
    CONSTRAINT spends_round_up_unless_skipped CHECK ((outcome = 'skipped') = (round_up_cents = 0)),
    CONSTRAINT spends_round_up_not_negative CHECK (round_up_cents >= 0),
    CONSTRAINT spends_undone_whole CHECK ((undone_at IS NULL) = (undone_cents IS NULL)),
    CONSTRAINT spends_undone_bounds CHECK (undone_cents BETWEEN 0 AND round_up_cents),
    CONSTRAINT spends_rule_exists FOREIGN KEY (saver_id, rule_version) REFERENCES savings.round_up_rules
);
COMMENT ON TABLE savings.spends IS 'Each spend that was recorded, and the decision taken on it. A spend moves no money by itself.';
COMMENT ON COLUMN savings.spends.content_digest IS
    'Keyed hash of what M-PESA said of the spend: shows a later delivery with other content without keeping the content.';
COMMENT ON COLUMN savings.spends.answer IS 'The round-up as it was first answered; every later delivery is answered the same.';
COMMENT ON COLUMN savings.spends.undone_cents IS 'What a reversal really returned or cancelled.';
CREATE INDEX spends_by_time ON savings.spends (saver_id, event_at);
CREATE INDEX spends_by_receipt ON savings.spends (receipt);

ALTER TABLE savings.spends ENABLE ROW LEVEL SECURITY;
CREATE POLICY spends_of_the_saver ON savings.spends TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT ON savings.spends TO zanari_api;
CREATE POLICY spends_for_the_system ON savings.spends TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.spends TO zanari_system;

CREATE TABLE savings.allocations (
    saver_id uuid NOT NULL,
    spend_id uuid NOT NULL,
    goal_id uuid NOT NULL,
    amount_cents bigint NOT NULL CONSTRAINT allocations_amount_positive CHECK (amount_cents > 0),
    CONSTRAINT allocations_pkey PRIMARY KEY (saver_id, spend_id, goal_id),
    CONSTRAINT allocations_spend_exists FOREIGN KEY (saver_id, spend_id) REFERENCES savings.spends,
    CONSTRAINT allocations_goal_exists FOREIGN KEY (saver_id, goal_id) REFERENCES savings.goals
);
COMMENT ON TABLE savings.allocations IS 'How one round-up is split over goals, whether it was saved at once or still waits.';

ALTER TABLE savings.allocations ENABLE ROW LEVEL SECURITY;
CREATE POLICY allocations_of_the_saver ON savings.allocations TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT ON savings.allocations TO zanari_api;
CREATE POLICY allocations_for_the_system ON savings.allocations TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.allocations TO zanari_system;

CREATE TABLE savings.accruals (
    saver_id uuid NOT NULL,
    spend_id uuid NOT NULL,
    amount_cents bigint NOT NULL CONSTRAINT accruals_amount_positive CHECK (amount_cents > 0),
    status text NOT NULL DEFAULT 'waiting'
        CONSTRAINT accruals_status_known CHECK (status IN ('waiting', 'settled', 'cancelled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT accruals_pkey PRIMARY KEY (saver_id, spend_id),
    CONSTRAINT accruals_spend_exists FOREIGN KEY (saver_id, spend_id) REFERENCES savings.spends
);
COMMENT ON TABLE savings.accruals IS 'Round-ups the wallet could not cover: recorded, not yet money, so not in the ledger.';
CREATE INDEX accruals_waiting ON savings.accruals (saver_id) WHERE status = 'waiting';

ALTER TABLE savings.accruals ENABLE ROW LEVEL SECURITY;
CREATE POLICY accruals_of_the_saver ON savings.accruals TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT ON savings.accruals TO zanari_api;
CREATE POLICY accruals_for_the_system ON savings.accruals TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.accruals TO zanari_system;
