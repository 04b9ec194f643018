-- Corrections and comparison: deposits taken back, what Safaricom says we hold, moves between floats, fees, statements
-- and every difference that is found, by name.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Breaks --------------------------------------------------------------------------------------------------
CREATE TABLE mpesa.breaks (
    id uuid CONSTRAINT breaks_pkey PRIMARY KEY,
    kind text NOT NULL CONSTRAINT breaks_kind_named CHECK (kind ~ '^[a-z][a-z0-9_]{0,62}$'),
    subject text NOT NULL CONSTRAINT breaks_subject_length CHECK (char_length(subject) BETWEEN 1 AND 200),
    shortcode text,
    account text CONSTRAINT breaks_account_known CHECK (account IN ('utility', 'working', 'charges_paid')),
    amount_cents bigint NOT NULL,
    suspected_cause text NOT NULL
        CONSTRAINT breaks_cause_length CHECK (char_length(suspected_cause) BETWEEN 1 AND 500),
    command text NOT NULL CONSTRAINT breaks_command_length CHECK (char_length(command) BETWEEN 1 AND 500),
    opened_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    closed_at timestamptz,
    closed_because text CONSTRAINT breaks_because_length CHECK (char_length(closed_because) BETWEEN 1 AND 1000),
    CONSTRAINT breaks_closed_with_reason CHECK ((closed_at IS NULL) = (closed_because IS NULL)),
    CONSTRAINT breaks_seen_after_opened CHECK (last_seen_at >= opened_at),
    CONSTRAINT breaks_closed_after_opened CHECK (closed_at >= opened_at)
);
COMMENT ON TABLE mpesa.breaks IS
    'Differences between our books and M-PESA''s, by name: each with age, amount, suspected cause and the command that resolves it. Closed, never deleted.';
COMMENT ON COLUMN mpesa.breaks.subject IS 'What it is about, `<kind>:<id>`. Ids, receipts and shortcodes only, never a person''s.';
COMMENT ON COLUMN mpesa.breaks.amount_cents IS 'Positive where M-PESA has more than our books say, or for money whose place is unsure; negative where it has less.';
CREATE UNIQUE INDEX breaks_open_once ON mpesa.breaks (kind, subject) WHERE closed_at IS NULL;
CREATE INDEX breaks_by_state ON mpesa.breaks (closed_at, opened_at);

ALTER TABLE mpesa.breaks ENABLE ROW LEVEL SECURITY;
CREATE POLICY breaks_for_the_system ON mpesa.breaks TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON mpesa.breaks TO zanari_system;

-- Balances as Safaricom tells them --------------------------------------------------------------------------
CREATE TABLE mpesa.balance_requests (
    id uuid CONSTRAINT balance_requests_pkey PRIMARY KEY,
    shortcode text NOT NULL,
    state text NOT NULL CONSTRAINT balance_requests_state_known
        CHECK (state IN ('requested', 'submitted', 'reported', 'failed')),
    reason text,
    -- The oldest transaction that still ran when the balance was asked for: what was booked since has this or more.
    booked_since xid8 NOT NULL,
    conversation_id text CONSTRAINT balance_requests_conversation_unique UNIQUE,
    originator_conversation_id text,
    requested_at timestamptz NOT NULL,
    submitted_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT balance_requests_finished_at_end
        CHECK ((finished_at IS NOT NULL) = (state IN ('reported', 'failed')))
);
COMMENT ON TABLE mpesa.balance_requests IS 'Each question for a shortcode''s balances, stored before it is asked.';
CREATE INDEX balance_requests_newest ON mpesa.balance_requests (shortcode, requested_at DESC);
CREATE INDEX balance_requests_unnamed ON mpesa.balance_requests (requested_at) WHERE conversation_id IS NULL;

ALTER TABLE mpesa.balance_requests ENABLE ROW LEVEL SECURITY;
CREATE POLICY balance_requests_for_the_system ON mpesa.balance_requests TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON mpesa.balance_requests TO zanari_system;

CREATE TABLE mpesa.balance_reports (
    request_id uuid NOT NULL CONSTRAINT balance_reports_request_exists REFERENCES mpesa.balance_requests,
    account text NOT NULL CONSTRAINT balance_reports_account_known
        CHECK (account IN ('utility', 'working', 'charges_paid')),
    shortcode text NOT NULL,
    balance_cents bigint NOT NULL,
    requested_at timestamptz NOT NULL,
    reported_at timestamptz NOT NULL,
    callback_id uuid NOT NULL,
    CONSTRAINT balance_reports_pkey PRIMARY KEY (request_id, account)
);
COMMENT ON TABLE mpesa.balance_reports IS 'What Safaricom said each of our accounts held.';
COMMENT ON COLUMN mpesa.balance_reports.reported_at IS 'The moment the balances are of, by M-PESA''s clock, which shows seconds.';
CREATE INDEX balance_reports_newest ON mpesa.balance_reports (shortcode, reported_at DESC);

ALTER TABLE mpesa.balance_reports ENABLE ROW LEVEL SECURITY;
CREATE POLICY balance_reports_for_the_system ON mpesa.balance_reports TO zanari_system USING (true);
GRANT SELECT, INSERT ON mpesa.balance_reports TO zanari_system;

-- Reversals -------------------------------------------------------------------------------------------------
CREATE TABLE mpesa.reversals (
    id uuid CONSTRAINT reversals_pkey PRIMARY KEY,
    receipt text NOT NULL,
    shortcode text NOT NULL,
    amount_cents bigint NOT NULL CONSTRAINT reversals_amount_positive CHECK (amount_cents > 0),
    saver_id uuid NOT NULL,
    deposit_id uuid NOT NULL,
    operator text NOT NULL,
    evidence text NOT NULL,
    state text NOT NULL CONSTRAINT reversals_state_known
        CHECK (state IN ('requested', 'submitting', 'submitted', 'settled', 'failed', 'unresolved')),
    reason text,
    conversation_id text CONSTRAINT reversals_conversation_unique UNIQUE,
    originator_conversation_id text,
    reversal_receipt text,
    requested_at timestamptz NOT NULL,
    submitting_at timestamptz,
    submitted_at timestamptz,
    finished_at timestamptz,
    expires_at timestamptz NOT NULL,
    due_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    lease_id uuid,
    dead_at timestamptz,
    last_error text,
    CONSTRAINT reversals_finished_at_end CHECK ((finished_at IS NOT NULL) = (state IN ('settled', 'failed')))
);
COMMENT ON TABLE mpesa.reversals IS
    'Payments to us that we asked Safaricom to take back: stored before the request is sent, and never sent twice.';
COMMENT ON COLUMN mpesa.reversals.submitting_at IS 'Committed before the socket opens: from then on the request may have been heard.';
CREATE UNIQUE INDEX reversals_one_at_a_time ON mpesa.reversals (receipt) WHERE state NOT IN ('settled', 'failed');
CREATE INDEX reversals_due ON mpesa.reversals (due_at) WHERE due_at IS NOT NULL AND dead_at IS NULL;
CREATE INDEX reversals_dead ON mpesa.reversals (dead_at) WHERE dead_at IS NOT NULL;
CREATE INDEX reversals_by_receipt ON mpesa.reversals (receipt, requested_at DESC);
CREATE INDEX reversals_by_time ON mpesa.reversals (requested_at);

ALTER TABLE mpesa.reversals ENABLE ROW LEVEL SECURITY;
CREATE POLICY reversals_for_the_system ON mpesa.reversals TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON mpesa.reversals TO zanari_system;

CREATE TABLE mpesa.reversal_events (
    id uuid CONSTRAINT reversal_events_pkey PRIMARY KEY,
    reversal_id uuid NOT NULL CONSTRAINT reversal_events_reversal_exists REFERENCES mpesa.reversals,
    state text NOT NULL,
    cause text NOT NULL CONSTRAINT reversal_events_cause_length CHECK (char_length(cause) BETWEEN 1 AND 200),
    callback_id uuid,
    happened_at timestamptz NOT NULL
);
COMMENT ON TABLE mpesa.reversal_events IS 'Every step of a reversal with its cause. Written with the step and never changed.';
CREATE INDEX reversal_events_of_one ON mpesa.reversal_events (reversal_id, happened_at);

ALTER TABLE mpesa.reversal_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY reversal_events_for_the_system ON mpesa.reversal_events TO zanari_system USING (true);
GRANT SELECT, INSERT ON mpesa.reversal_events TO zanari_system;

CREATE TABLE savings.deposit_reversals (
    saver_id uuid NOT NULL,
    deposit_id uuid NOT NULL,
    amount_cents bigint NOT NULL CONSTRAINT deposit_reversals_amount_positive CHECK (amount_cents > 0),
    wallet_cents bigint NOT NULL CONSTRAINT deposit_reversals_wallet_not_negative CHECK (wallet_cents >= 0),
    goals_cents bigint NOT NULL CONSTRAINT deposit_reversals_goals_not_negative CHECK (goals_cents >= 0),
    owed_cents bigint NOT NULL CONSTRAINT deposit_reversals_owed_not_negative CHECK (owed_cents >= 0),
    cause text NOT NULL CONSTRAINT deposit_reversals_cause_known CHECK (cause IN ('daraja', 'statement', 'operator')),
    evidence text NOT NULL CONSTRAINT deposit_reversals_evidence_length CHECK (char_length(evidence) BETWEEN 1 AND 1000),
    reversal_receipt text,
    callback_id uuid,
    event_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT deposit_reversals_pkey PRIMARY KEY (saver_id, deposit_id),
    CONSTRAINT deposit_reversals_adds_up CHECK (wallet_cents + goals_cents + owed_cents = amount_cents)
);
COMMENT ON TABLE savings.deposit_reversals IS 'Payments in that M-PESA took back: where the money was taken from, and what the saver owes since.';
COMMENT ON COLUMN savings.deposit_reversals.deposit_id IS 'The deposit, or the collection whose payment it was.';
CREATE INDEX deposit_reversals_by_receipt ON savings.deposit_reversals (reversal_receipt);

ALTER TABLE savings.deposit_reversals ENABLE ROW LEVEL SECURITY;
CREATE POLICY deposit_reversals_of_the_saver ON savings.deposit_reversals TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT ON savings.deposit_reversals TO zanari_api;
CREATE POLICY deposit_reversals_for_the_system ON savings.deposit_reversals TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.deposit_reversals TO zanari_system;

-- What a saver's own message says was reversed counts for that saver's own messages, and for nobody and nothing else.
CREATE TABLE savings.own_reversals (
    saver_id uuid NOT NULL CONSTRAINT own_reversals_saver_exists REFERENCES savings.savers,
    receipt text NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT own_reversals_told_once PRIMARY KEY (saver_id, receipt)
);
COMMENT ON TABLE savings.own_reversals IS
    'Reversals that savers'' own messages and statements told of. A signed reversal is a receipt in the role `reversal`, and counts for all.';
CREATE INDEX own_reversals_by_receipt ON savings.own_reversals (receipt);

ALTER TABLE savings.own_reversals ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_reversals_for_the_system ON savings.own_reversals TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.own_reversals TO zanari_system;

-- Floats and fees -------------------------------------------------------------------------------------------
CREATE TABLE mpesa.float_moves (
    id uuid CONSTRAINT float_moves_pkey PRIMARY KEY,
    receipt text NOT NULL CONSTRAINT float_moves_receipt_unique UNIQUE,
    kind text NOT NULL CONSTRAINT float_moves_kind_known CHECK (kind IN ('move', 'fund', 'defund')),
    from_shortcode text,
    from_account text CONSTRAINT float_moves_from_known CHECK (from_account IN ('utility', 'working', 'charges_paid')),
    to_shortcode text,
    to_account text CONSTRAINT float_moves_to_known CHECK (to_account IN ('utility', 'working', 'charges_paid')),
    amount_cents bigint NOT NULL CONSTRAINT float_moves_amount_positive CHECK (amount_cents > 0),
    operator text NOT NULL,
    event_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT float_moves_from_whole CHECK ((from_shortcode IS NULL) = (from_account IS NULL)),
    CONSTRAINT float_moves_to_whole CHECK ((to_shortcode IS NULL) = (to_account IS NULL)),
    CONSTRAINT float_moves_ends_match_kind CHECK (
        (from_shortcode IS NOT NULL) = (kind IN ('move', 'defund'))
        AND (to_shortcode IS NOT NULL) = (kind IN ('move', 'fund'))
    ),
    CONSTRAINT float_moves_somewhere_else CHECK (
        (from_shortcode, from_account) IS DISTINCT FROM (to_shortcode, to_account)
    )
);
COMMENT ON TABLE mpesa.float_moves IS 'Money moved between our own accounts at Safaricom, or to and from the company''s bank, as an operator booked it.';

ALTER TABLE mpesa.float_moves ENABLE ROW LEVEL SECURITY;
CREATE POLICY float_moves_for_the_system ON mpesa.float_moves TO zanari_system USING (true);
GRANT SELECT, INSERT ON mpesa.float_moves TO zanari_system;

CREATE TABLE mpesa.fees (
    payout_id uuid CONSTRAINT fees_pkey PRIMARY KEY,
    shortcode text NOT NULL,
    cents bigint NOT NULL CONSTRAINT fees_not_negative CHECK (cents >= 0),
    source text NOT NULL CONSTRAINT fees_source_known CHECK (source IN ('tariff', 'status', 'statement')),
    event_at timestamptz NOT NULL,
    posted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mpesa.fees IS 'What M-PESA charged for each payout, and who says so: the tariff until something better is known.';

ALTER TABLE mpesa.fees ENABLE ROW LEVEL SECURITY;
CREATE POLICY fees_for_the_system ON mpesa.fees TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON mpesa.fees TO zanari_system;

-- Statements ------------------------------------------------------------------------------------------------
CREATE TABLE mpesa.statements (
    id uuid CONSTRAINT statements_pkey PRIMARY KEY,
    shortcode text NOT NULL,
    account text NOT NULL
        CONSTRAINT statements_account_known CHECK (account IN ('utility', 'working', 'charges_paid')),
    day date NOT NULL,
    digest bytea NOT NULL,
    lines bigint NOT NULL CONSTRAINT statements_lines_not_negative CHECK (lines >= 0),
    operator text NOT NULL,
    imported_at timestamptz NOT NULL,
    CONSTRAINT statements_imported_once UNIQUE (shortcode, account, day, digest)
);
COMMENT ON TABLE mpesa.statements IS 'Which statement files were compared, for which closed day. The lines themselves name people and are not kept.';

ALTER TABLE mpesa.statements ENABLE ROW LEVEL SECURITY;
CREATE POLICY statements_for_the_system ON mpesa.statements TO zanari_system USING (true);
GRANT SELECT, INSERT ON mpesa.statements TO zanari_system;
