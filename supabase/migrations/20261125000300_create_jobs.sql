-- What work that runs by itself needs besides its own tables, and what operators did.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE runtime.schedules (
    name text CONSTRAINT schedules_pkey PRIMARY KEY,
    next_run_at timestamptz NOT NULL,
    lease_until timestamptz,
    lease_id uuid,
    last_started_at timestamptz,
    last_finished_at timestamptz,
    last_error text
);
COMMENT ON TABLE runtime.schedules IS
    'What runs at times of its own. The row is the guard: of many workers, the one that leases it runs it.';
COMMENT ON COLUMN runtime.schedules.lease_id IS 'Changes with each lease, so that a worker which lost its lease cannot write here.';

ALTER TABLE runtime.schedules ENABLE ROW LEVEL SECURITY;
CREATE POLICY schedules_for_the_system ON runtime.schedules TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON runtime.schedules TO zanari_system;

CREATE TABLE runtime.audit_log (
    id uuid CONSTRAINT audit_log_pkey PRIMARY KEY,
    operator text NOT NULL CONSTRAINT audit_log_operator_length CHECK (char_length(operator) BETWEEN 1 AND 100),
    act text NOT NULL CONSTRAINT audit_log_act_named CHECK (act ~ '^[a-z][a-z0-9_]{0,62}$'),
    subject text NOT NULL CONSTRAINT audit_log_subject_length CHECK (char_length(subject) BETWEEN 1 AND 200),
    reason text NOT NULL CONSTRAINT audit_log_reason_length CHECK (char_length(reason) BETWEEN 1 AND 1000),
    before jsonb NOT NULL CONSTRAINT audit_log_before_object CHECK (jsonb_typeof(before) = 'object'),
    after jsonb NOT NULL CONSTRAINT audit_log_after_object CHECK (jsonb_typeof(after) = 'object'),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE runtime.audit_log IS
    'Every act of an operator: who, what, on what, why, before and after, by id. Written with the effect and never changed.';
CREATE INDEX audit_log_by_time ON runtime.audit_log (recorded_at);
CREATE INDEX audit_log_by_subject ON runtime.audit_log (subject, recorded_at);

ALTER TABLE runtime.audit_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY audit_log_for_the_system ON runtime.audit_log FOR SELECT TO zanari_system USING (true);
CREATE POLICY audit_log_written_by_the_system ON runtime.audit_log FOR INSERT TO zanari_system WITH CHECK (true);
GRANT SELECT, INSERT ON runtime.audit_log TO zanari_system;
