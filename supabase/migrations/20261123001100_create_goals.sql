-- What a saver saves for.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE savings.goals (
    saver_id uuid NOT NULL CONSTRAINT goals_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    account_id uuid NOT NULL CONSTRAINT goals_account_unique UNIQUE,
    name text NOT NULL CONSTRAINT goals_name_length CHECK (char_length(name) BETWEEN 1 AND 80),
    emoji text CONSTRAINT goals_emoji_length CHECK (char_length(emoji) BETWEEN 1 AND 16),
    description text CONSTRAINT goals_description_length CHECK (char_length(description) <= 500),
    target_cents bigint CONSTRAINT goals_target_positive CHECK (target_cents > 0),
    due_on date,
    priority integer NOT NULL CONSTRAINT goals_priority_positive CHECK (priority > 0),
    allocation_percent smallint CONSTRAINT goals_percent_bounds CHECK (allocation_percent BETWEEN 1 AND 100),
    status text NOT NULL DEFAULT 'active'
        CONSTRAINT goals_status_known CHECK (status IN ('active', 'paused', 'cancelled', 'deleted')),
    letter text CONSTRAINT goals_letter_capital CHECK (letter ~ '^[A-Z]$'),
    locked_until timestamptz,
    is_default boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT goals_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT goals_letter_unique UNIQUE (saver_id, letter),
    CONSTRAINT goals_default_is_open CHECK (
        NOT is_default OR (status = 'active' AND target_cents IS NULL AND allocation_percent IS NULL)
    )
);
COMMENT ON TABLE savings.goals IS 'A goal and how round-ups reach it. Its money is the ledger account account_id.';
COMMENT ON COLUMN savings.goals.priority IS '1 comes first. The default goal is always last, whatever this says.';
COMMENT ON COLUMN savings.goals.letter IS
    'Follows the member code in an M-PESA account reference to deposit straight into this goal. Never reused.';
COMMENT ON COLUMN savings.goals.locked_until IS 'Until then nothing leaves the goal by the saver''s hand; round-ups still come in.';
CREATE UNIQUE INDEX goals_one_default_each ON savings.goals (saver_id) WHERE is_default;

ALTER TABLE savings.goals ENABLE ROW LEVEL SECURITY;
CREATE POLICY goals_of_the_saver ON savings.goals TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT, UPDATE ON savings.goals TO zanari_api;
CREATE POLICY goals_for_the_system ON savings.goals TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON savings.goals TO zanari_system;

CREATE TABLE savings.goal_milestones (
    saver_id uuid NOT NULL,
    goal_id uuid NOT NULL,
    percent smallint NOT NULL CONSTRAINT goal_milestones_known CHECK (percent IN (25, 50, 75, 100)),
    reached_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT goal_milestones_reached_once PRIMARY KEY (saver_id, goal_id, percent),
    CONSTRAINT goal_milestones_goal_exists FOREIGN KEY (saver_id, goal_id) REFERENCES savings.goals
);
COMMENT ON TABLE savings.goal_milestones IS 'A milestone is reached once, whatever is withdrawn afterwards.';

ALTER TABLE savings.goal_milestones ENABLE ROW LEVEL SECURITY;
CREATE POLICY goal_milestones_of_the_saver ON savings.goal_milestones TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT, INSERT ON savings.goal_milestones TO zanari_api;
CREATE POLICY goal_milestones_for_the_system ON savings.goal_milestones TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.goal_milestones TO zanari_system;
