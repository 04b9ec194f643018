-- Notices: what a saver's old numbers are told by text message after a change that a thief would make first.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE savings.notices (
    saver_id uuid NOT NULL CONSTRAINT notices_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL CONSTRAINT notices_kind_known CHECK (kind IN (
        'pin_reset', 'number_added', 'number_moved', 'number_proven_again', -- the causes of holds
        'number_lost'                                                       -- another saver proved it
    )),
    about_account_id uuid,
    hold_id uuid,
    created_at timestamptz NOT NULL,
    outcome text CONSTRAINT notices_outcome_known CHECK (outcome IN (
        'sent',      -- the gateway took it on
        'not_theirs' -- the number had become another saver's before it was told
    )),
    finished_at timestamptz,
    due_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    lease_id uuid,
    dead_at timestamptz,
    last_error text,
    CONSTRAINT notices_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT notices_told_once UNIQUE (saver_id, hold_id, account_id),
    CONSTRAINT notices_account_exists FOREIGN KEY (saver_id, account_id) REFERENCES savings.mpesa_accounts,
    -- A number is linked after its hold was begun, in the same transaction.
    CONSTRAINT notices_about_account_exists FOREIGN KEY (saver_id, about_account_id) REFERENCES savings.mpesa_accounts
        DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT notices_hold_exists FOREIGN KEY (saver_id, hold_id) REFERENCES savings.payout_holds,
    CONSTRAINT notices_of_a_hold CHECK ((hold_id IS NULL) = (kind = 'number_lost')),
    CONSTRAINT notices_about_a_number CHECK ((about_account_id IS NULL) = (kind = 'pin_reset')),
    CONSTRAINT notices_finished_with_time CHECK ((finished_at IS NOT NULL) = (outcome IS NOT NULL)),
    -- What nobody was told is always due some day, or dead and counted: nothing waits unseen.
    CONSTRAINT notices_due_while_open CHECK ((due_at IS NOT NULL) = (outcome IS NULL))
);
COMMENT ON TABLE savings.notices IS
    'One row for each number that is told of one change, written in the transaction of that change and sent after it.';
COMMENT ON COLUMN savings.notices.id IS 'What the gateway tells two sendings apart by: each try is under it, and one that is late under an id made of it.';
COMMENT ON COLUMN savings.notices.account_id IS
    'The old number that is told. The number itself is read from its link, where it lies encrypted.';
COMMENT ON COLUMN savings.notices.about_account_id IS
    'The number that the change was about: the new one, or the one that was lost. It is told nothing itself.';

CREATE INDEX notices_due ON savings.notices (due_at) WHERE due_at IS NOT NULL AND dead_at IS NULL;
CREATE INDEX notices_dead ON savings.notices (dead_at) WHERE dead_at IS NOT NULL;

ALTER TABLE savings.notices ENABLE ROW LEVEL SECURITY;
-- A saver's request has its own numbers told, and cannot read, change or end what it asked for: nor could a thief.
CREATE POLICY notices_begun_by_the_saver ON savings.notices FOR INSERT TO zanari_api
    WITH CHECK (saver_id = (SELECT savings.current_saver_id()));
GRANT INSERT (saver_id, id, account_id, kind, about_account_id, hold_id, created_at, due_at)
    ON savings.notices TO zanari_api;
CREATE POLICY notices_for_the_system ON savings.notices TO zanari_system USING (true);
-- What is told to whom stays as it was written with the change; how the telling goes is the worker's.
GRANT SELECT, INSERT ON savings.notices TO zanari_system;
GRANT UPDATE (outcome, finished_at, due_at, attempts, lease_until, lease_id, dead_at, last_error)
    ON savings.notices TO zanari_system;

-- Every other PIN after one sign-in is a reset, with a hold of its own. A number that was told within the hour, of a
-- reset whose hold still stands, is told nothing new by the next. A request cannot read notices, and learns this only.
CREATE FUNCTION savings.was_told_of_reset(on_account uuid, at timestamptz) RETURNS boolean
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = ''
AS $$
    SELECT EXISTS (
        SELECT
          FROM savings.notices AS n
          JOIN savings.payout_holds AS h ON h.saver_id = n.saver_id AND h.id = n.hold_id
         WHERE n.saver_id = savings.current_saver_id() AND n.account_id = on_account AND n.kind = 'pin_reset'
           AND n.created_at > at - interval '1 hour' AND h.held_until > at
    )
$$;
COMMENT ON FUNCTION savings.was_told_of_reset(uuid, timestamptz) IS
    'Whether this number of the saver who asks has a notice of a PIN reset from the hour before, whose hold still stands.';
REVOKE ALL ON FUNCTION savings.was_told_of_reset(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION savings.was_told_of_reset(uuid, timestamptz) TO zanari_api, zanari_system;
