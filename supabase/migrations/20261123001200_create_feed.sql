-- The feed: what the saver sees happen, newest first.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE savings.transactions (
    saver_id uuid NOT NULL CONSTRAINT transactions_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    type text NOT NULL CONSTRAINT transactions_type_known
        CHECK (type IN ('spend', 'deposit', 'allocation', 'goal_withdrawal', 'payout')),
    status text NOT NULL CONSTRAINT transactions_status_known
        CHECK (status IN ('pending', 'completed', 'failed', 'reversed')),
    direction text NOT NULL CONSTRAINT transactions_direction_known CHECK (direction IN ('in', 'out', 'internal')),
    amount_cents bigint NOT NULL CONSTRAINT transactions_amount_positive CHECK (amount_cents > 0),
    occurred_at timestamptz NOT NULL,
    title text NOT NULL CONSTRAINT transactions_title_length CHECK (char_length(title) BETWEEN 1 AND 200),
    category text CONSTRAINT transactions_category_length CHECK (char_length(category) <= 40),
    goal_id uuid,
    receipt text,
    round_up jsonb,
    explanation jsonb NOT NULL,
    private bytea,
    -- Not now(), which is when the transaction began: rows are written under the saver's lock, so that this clock
    -- goes forward with what a saver can see, and a sync by updated_at misses nothing.
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT transactions_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT transactions_round_up_of_spend CHECK ((type = 'spend') = (round_up IS NOT NULL))
);
COMMENT ON TABLE savings.transactions IS
    'One row a spend (its round-up embedded), deposit, allocation, withdrawal or payout; written with the effect it tells of.';
COMMENT ON COLUMN savings.transactions.title IS 'A business or goal name, in clear; a private person is only in `private`.';
COMMENT ON COLUMN savings.transactions.explanation IS 'Why the outcome is what it is, as codes, amounts and one sentence.';
COMMENT ON COLUMN savings.transactions.private IS 'Personal details (JSON), encrypted under the saver''s data key.';
CREATE INDEX transactions_newest_first ON savings.transactions (saver_id, occurred_at DESC, id DESC);
CREATE INDEX transactions_by_update ON savings.transactions (saver_id, updated_at);

ALTER TABLE savings.transactions ENABLE ROW LEVEL SECURITY;
CREATE POLICY transactions_of_the_saver ON savings.transactions TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT, UPDATE ON savings.transactions TO zanari_api;
CREATE POLICY transactions_for_the_system ON savings.transactions TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.transactions TO zanari_system;
