-- Payouts: money on its way out, every step of each, the questions we ask about them, and what stops all of them.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE savings.payouts (
    saver_id uuid NOT NULL CONSTRAINT payouts_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    amount_cents bigint NOT NULL
        CONSTRAINT payouts_amount_within_bounds CHECK (amount_cents BETWEEN 1000 AND 25000000)
        CONSTRAINT payouts_amount_whole_shillings CHECK (amount_cents % 100 = 0),
    goal_id uuid,
    account_id uuid NOT NULL,
    msisdn bytea NOT NULL,
    originator_conversation_id text NOT NULL CONSTRAINT payouts_originator_conversation_unique UNIQUE,
    conversation_id text,
    shortcode text,
    state text NOT NULL CONSTRAINT payouts_state_known CHECK (state IN (
        'requested',  -- its money left the wallet or goal; nothing was sent
        'queued',     -- it waits for something of ours; nothing was sent
        'submitting', -- it is being sent: M-PESA may hear of it at any moment
        'submitted',  -- M-PESA took it on
        'unknown',    -- nobody here knows what became of it; its money is held
        'settled',    -- M-PESA paid it
        'failed'      -- M-PESA did not pay it, and its money went back
    )),
    reason text,
    receipt text,
    refunded_to text CONSTRAINT payouts_refunded_to_known CHECK (refunded_to IN ('goal', 'wallet')),
    late_receipt text,
    requested_at timestamptz NOT NULL,
    submitting_at timestamptz,
    submitted_at timestamptz,
    unknown_at timestamptz,
    settled_at timestamptz,
    failed_at timestamptz,
    event_at timestamptz,
    definite_by text CONSTRAINT payouts_definite_by_known CHECK (definite_by IN ('reply', 'result')),
    definite_code text,
    definite_code_at timestamptz,
    first_not_found_at timestamptz,
    not_found_twice boolean NOT NULL DEFAULT false,
    ended boolean NOT NULL DEFAULT false,
    last_status_at timestamptz,
    asked integer NOT NULL DEFAULT 0 CONSTRAINT payouts_asked_counts CHECK (asked >= 0),
    resolvable_at timestamptz,
    resends integer NOT NULL DEFAULT 0 CONSTRAINT payouts_resent_once_at_most CHECK (resends BETWEEN 0 AND 1),
    resend_wanted boolean NOT NULL DEFAULT false,
    proposed_outcome text
        CONSTRAINT payouts_proposed_outcome_known CHECK (proposed_outcome IN ('settled', 'failed', 'resend')),
    proposed_receipt text,
    proposed_by text,
    proposed_evidence text,
    proposed_at timestamptz,
    due_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    lease_id uuid,
    dead_at timestamptz,
    last_error text,
    CONSTRAINT payouts_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT payouts_account_exists FOREIGN KEY (saver_id, account_id) REFERENCES savings.mpesa_accounts,
    CONSTRAINT payouts_unheard_before_submitting CHECK (
        CASE
            WHEN state IN ('requested', 'queued') THEN submitting_at IS NULL
            WHEN state IN ('submitting', 'submitted', 'unknown', 'settled') THEN submitting_at IS NOT NULL
            ELSE true
        END
    ),
    CONSTRAINT payouts_shortcode_when_submitting CHECK ((shortcode IS NULL) = (submitting_at IS NULL)),
    CONSTRAINT payouts_receipt_when_settled CHECK ((receipt IS NOT NULL) = (state = 'settled')),
    CONSTRAINT payouts_settled_with_time CHECK ((settled_at IS NOT NULL) = (state = 'settled')),
    CONSTRAINT payouts_failed_with_time CHECK ((failed_at IS NOT NULL) = (state = 'failed')),
    CONSTRAINT payouts_failed_is_refunded CHECK ((refunded_to IS NOT NULL) = (state = 'failed')),
    CONSTRAINT payouts_late_after_failed CHECK (late_receipt IS NULL OR state = 'failed'),
    CONSTRAINT payouts_definite_whole
        CHECK (num_nonnulls(definite_by, definite_code, definite_code_at) IN (0, 3)),
    CONSTRAINT payouts_resend_of_unknown CHECK (state = 'unknown' OR NOT resend_wanted),
    CONSTRAINT payouts_proposal_whole
        CHECK (num_nonnulls(proposed_outcome, proposed_by, proposed_evidence, proposed_at) IN (0, 4)),
    -- What is open is always due some day, and what has ended never is: nothing waits unseen.
    CONSTRAINT payouts_due_while_open CHECK ((due_at IS NOT NULL) = (state NOT IN ('settled', 'failed')))
);
COMMENT ON TABLE savings.payouts IS
    'Money on its way to a saver''s M-PESA. Each was stored, and committed as submitting, before it was sent, and is sent under one id only.';
COMMENT ON COLUMN savings.payouts.account_id IS 'The linked number it goes to; the number itself is kept in msisdn, as it was then.';
COMMENT ON COLUMN savings.payouts.msisdn IS 'Encrypted under the saver''s data key.';
COMMENT ON COLUMN savings.payouts.originator_conversation_id IS 'Ours, made before the call and never reused: what M-PESA tells two sendings apart by.';
COMMENT ON COLUMN savings.payouts.reason IS 'Why it stands so, as a code: what it waits for, what is in doubt, or why it failed.';
COMMENT ON COLUMN savings.payouts.submitting_at IS
    'Committed before the socket opens: from then on M-PESA may have heard of it. Null again only where nothing was sent.';
COMMENT ON COLUMN savings.payouts.late_receipt IS 'The receipt of a payment that M-PESA told of after the money had gone back: the saver owes it.';
COMMENT ON COLUMN savings.payouts.definite_by IS 'Whether the reply to the request or its result said that it definitely failed; definite_code says by what code.';
COMMENT ON COLUMN savings.payouts.ended IS 'Whether a status answer said that it was cancelled, declined or has expired.';
COMMENT ON COLUMN savings.payouts.resolvable_at IS 'Since when an operator may decide what became of it.';

-- States stand first in no index but this: what is open is little, what has ended is everything.
CREATE INDEX payouts_open ON savings.payouts (state, unknown_at)
    WHERE state IN ('requested', 'queued', 'submitting', 'submitted', 'unknown');
CREATE INDEX payouts_due ON savings.payouts (due_at) WHERE due_at IS NOT NULL AND dead_at IS NULL;
CREATE INDEX payouts_dead ON savings.payouts (dead_at) WHERE dead_at IS NOT NULL;
CREATE INDEX payouts_by_id ON savings.payouts (id);
CREATE INDEX payouts_of_the_day ON savings.payouts (saver_id, requested_at);
CREATE INDEX payouts_by_conversation ON savings.payouts (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX payouts_by_receipt ON savings.payouts (receipt) WHERE receipt IS NOT NULL;
CREATE INDEX payouts_by_late_receipt ON savings.payouts (late_receipt) WHERE late_receipt IS NOT NULL;
CREATE INDEX payouts_by_time ON savings.payouts (requested_at DESC, id DESC);

ALTER TABLE savings.payouts ENABLE ROW LEVEL SECURITY;
-- A saver asks and reads. Every step after that, and what is proposed or found out, is the system's.
CREATE POLICY payouts_read_by_the_saver ON savings.payouts FOR SELECT TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
CREATE POLICY payouts_requested_by_the_saver ON savings.payouts FOR INSERT TO zanari_api
    WITH CHECK (saver_id = (SELECT savings.current_saver_id()) AND state = 'requested');
GRANT SELECT,
    INSERT (
        saver_id, id, amount_cents, goal_id, account_id, msisdn, originator_conversation_id, state, requested_at, due_at
    )
    ON savings.payouts TO zanari_api;
CREATE POLICY payouts_for_the_system ON savings.payouts TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.payouts TO zanari_system;

CREATE TABLE savings.payout_events (
    saver_id uuid NOT NULL,
    id uuid NOT NULL,
    payout_id uuid NOT NULL,
    state_before text,
    state text NOT NULL,
    cause text NOT NULL CONSTRAINT payout_events_cause_named CHECK (cause ~ '^[a-z][a-z0-9_]{0,62}$'),
    detail text CONSTRAINT payout_events_detail_length CHECK (char_length(detail) BETWEEN 1 AND 1000),
    callback_id uuid,
    operator text,
    happened_at timestamptz NOT NULL,
    CONSTRAINT payout_events_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT payout_events_payout_exists FOREIGN KEY (saver_id, payout_id) REFERENCES savings.payouts
);
COMMENT ON TABLE savings.payout_events IS 'Every step of a payout with its cause, and what was said of it without a step. Written with it and never changed.';
CREATE INDEX payout_events_of_one ON savings.payout_events (saver_id, payout_id, happened_at);

ALTER TABLE savings.payout_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY payout_events_read_by_the_saver ON savings.payout_events FOR SELECT TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
-- A request takes the first step, and no other.
CREATE POLICY payout_events_of_requests ON savings.payout_events FOR INSERT TO zanari_api
    WITH CHECK (
        saver_id = (SELECT savings.current_saver_id())
        AND state_before IS NULL AND state = 'requested' AND num_nonnulls(detail, callback_id, operator) = 0
    );
GRANT SELECT, INSERT ON savings.payout_events TO zanari_api;
CREATE POLICY payout_events_for_the_system ON savings.payout_events TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.payout_events TO zanari_system;

CREATE TABLE savings.status_queries (
    saver_id uuid NOT NULL,
    id uuid NOT NULL,
    payout_id uuid NOT NULL,
    state text NOT NULL CONSTRAINT status_queries_state_known CHECK (state IN (
        'asking',     -- about to be asked; its ids are not known yet
        'asked',      -- Safaricom took the question on
        'unsent',     -- nothing was asked
        'unanswered', -- nobody knows whether it was asked: its ids never came back
        'timed_out',  -- the question waited too long at Safaricom
        'answered'
    )),
    conversation_id text,
    originator_conversation_id text,
    answer text,
    callback_id uuid,
    asked_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT status_queries_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT status_queries_payout_exists FOREIGN KEY (saver_id, payout_id) REFERENCES savings.payouts,
    CONSTRAINT status_queries_answered_with_answer CHECK ((answer IS NOT NULL) = (state = 'answered'))
);
COMMENT ON TABLE savings.status_queries IS
    'Our questions to M-PESA about payouts. An answer counts only for a question that is here: its outer ids are the question''s own.';
CREATE INDEX status_queries_by_originator ON savings.status_queries (originator_conversation_id)
    WHERE originator_conversation_id IS NOT NULL;
CREATE INDEX status_queries_by_conversation ON savings.status_queries (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX status_queries_of_one ON savings.status_queries (saver_id, payout_id, asked_at);
CREATE INDEX status_queries_unnamed ON savings.status_queries (asked_at) WHERE state IN ('asking', 'unanswered');

ALTER TABLE savings.status_queries ENABLE ROW LEVEL SECURITY;
CREATE POLICY status_queries_for_the_system ON savings.status_queries TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.status_queries TO zanari_system;

-- What stops all money out -----------------------------------------------------------------------------------
CREATE TABLE savings.payout_freeze (
    id smallint CONSTRAINT payout_freeze_pkey PRIMARY KEY CONSTRAINT payout_freeze_one_row CHECK (id = 1),
    frozen_at timestamptz NOT NULL,
    because text NOT NULL CONSTRAINT payout_freeze_because_length CHECK (char_length(because) BETWEEN 1 AND 1000),
    lifted_at timestamptz,
    lifted_because text,
    CONSTRAINT payout_freeze_lifted_with_reason CHECK ((lifted_at IS NULL) = (lifted_because IS NULL))
);
COMMENT ON TABLE savings.payout_freeze IS
    'At most one row: while it has no lifted_at, no payout is taken on and none is sent. Money in is never stopped.';

ALTER TABLE savings.payout_freeze ENABLE ROW LEVEL SECURITY;
CREATE POLICY payout_freeze_for_the_system ON savings.payout_freeze TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.payout_freeze TO zanari_system;

CREATE FUNCTION savings.payouts_frozen() RETURNS boolean
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = ''
AS $$ SELECT EXISTS (SELECT FROM savings.payout_freeze WHERE id = 1 AND lifted_at IS NULL) $$;
COMMENT ON FUNCTION savings.payouts_frozen() IS
    'Whether money out is stopped, for requests of savers too, which have no table without a saver to read.';
REVOKE ALL ON FUNCTION savings.payouts_frozen() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION savings.payouts_frozen() TO zanari_api, zanari_system;
