-- The books: the chart of accounts, transfers and their entries, and who may read them.
-- Amounts are integer cents. An entry is positive for a credit and negative for a debit, so a transfer
-- sums to zero. Nobody but the owner may write; everybody else goes through the functions of this schema.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Accounts ------------------------------------------------------------------------------------------------
CREATE TABLE ledger.accounts (
    id            uuid NOT NULL,
    kind          text NOT NULL,
    normal_side   text NOT NULL,
    currency      text NOT NULL DEFAULT 'KES',
    saver_id      uuid,
    shortcode     text,
    float_account text,
    opened_at     timestamptz NOT NULL DEFAULT now(),
    closed_at     timestamptz,

    CONSTRAINT accounts_pkey PRIMARY KEY (id),
    -- An account with money of its own points here, so that its copy of kind and saver cannot differ.
    CONSTRAINT accounts_identity_unique UNIQUE (id, kind, saver_id),
    CONSTRAINT accounts_float_unique UNIQUE (shortcode, float_account),

    CONSTRAINT accounts_kind_known CHECK (kind IN (
        'wallet',     -- a saver's money in no goal
        'goal',       -- a saver's money in one goal
        'receivable', -- what a saver owes us, such as a payout that settled after it was refunded
        'float',      -- our e-money at Safaricom, one account per shortcode and kind of balance
        'suspense',   -- money received that belongs to somebody we could not name yet
        'in_flight',  -- money that left a goal or wallet and that M-PESA has not settled yet
        'dust',       -- fractions of a shilling that no payout can carry
        'funding',    -- what the company put in: opening float, fees, goodwill
        'fees'        -- what M-PESA charged us
    )),
    -- Unknown kinds yield null and pass, so that each rule refuses for its own reason only.
    CONSTRAINT accounts_normal_side_matches_kind CHECK (
        normal_side = CASE
            WHEN kind IN ('float', 'receivable', 'fees') THEN 'debit'
            WHEN kind IN ('wallet', 'goal', 'suspense', 'in_flight', 'dust', 'funding') THEN 'credit'
        END
    ),
    CONSTRAINT accounts_currency_known CHECK (currency = 'KES'),
    CONSTRAINT accounts_saver_matches_kind CHECK (
        (saver_id IS NOT NULL) = CASE
            WHEN kind IN ('wallet', 'goal', 'receivable') THEN true
            WHEN kind IN ('float', 'suspense', 'in_flight', 'dust', 'funding', 'fees') THEN false
        END
    ),
    CONSTRAINT accounts_shortcode_on_floats_only CHECK ((kind = 'float') = (shortcode IS NOT NULL)),
    CONSTRAINT accounts_shortcode_digits CHECK (shortcode ~ '^[0-9]{5,9}$'),
    CONSTRAINT accounts_float_account_on_floats_only CHECK ((kind = 'float') = (float_account IS NOT NULL)),
    CONSTRAINT accounts_float_account_known CHECK (float_account IN ('utility', 'working', 'charges_paid')),
    -- Only an account with a balance row can be closed: the lock on that row is what keeps a posting out.
    CONSTRAINT accounts_system_stays_open CHECK (closed_at IS NULL OR saver_id IS NOT NULL),
    CONSTRAINT accounts_closed_after_opened CHECK (closed_at >= opened_at)
);
ALTER TABLE ledger.accounts OWNER TO zanari_ledger_owner;

CREATE UNIQUE INDEX accounts_wallet_unique ON ledger.accounts (saver_id) WHERE kind = 'wallet';
CREATE UNIQUE INDEX accounts_receivable_unique ON ledger.accounts (saver_id) WHERE kind = 'receivable';
CREATE UNIQUE INDEX accounts_system_unique ON ledger.accounts (kind)
    WHERE kind IN ('suspense', 'in_flight', 'dust', 'funding', 'fees');
CREATE INDEX accounts_saver_idx ON ledger.accounts (saver_id) WHERE saver_id IS NOT NULL;

COMMENT ON TABLE ledger.accounts IS 'The chart of accounts: where money is, each on its normal side. Closed, never deleted.';
COMMENT ON COLUMN ledger.accounts.float_account IS 'Which of a shortcode''s balances at Safaricom: C2B and STK land in utility, B2C pays from it.';

-- The accounts every transfer leans on. Their ids are the same in every database (ledger/accounts.py).
INSERT INTO ledger.accounts (id, kind, normal_side) VALUES
    ('00000000-0000-8000-8000-000000000001', 'suspense', 'credit'),
    ('00000000-0000-8000-8000-000000000002', 'in_flight', 'credit'),
    ('00000000-0000-8000-8000-000000000003', 'dust', 'credit'),
    ('00000000-0000-8000-8000-000000000004', 'funding', 'credit'),
    ('00000000-0000-8000-8000-000000000005', 'fees', 'debit');

-- Balances ------------------------------------------------------------------------------------------------
-- One row per saver account: the running balance, and the lock that puts postings in order. System accounts
-- have none, because they are in every transfer and one hot row would put all of them in one queue: a saver
-- is required here, and the foreign key finds no system account that has one.
CREATE TABLE ledger.balances (
    account_id    uuid NOT NULL,
    saver_id      uuid NOT NULL,
    kind          text NOT NULL,
    balance_cents bigint NOT NULL DEFAULT 0,
    version       bigint NOT NULL DEFAULT 0,

    CONSTRAINT balances_pkey PRIMARY KEY (account_id),
    CONSTRAINT balances_account_matches FOREIGN KEY (account_id, kind, saver_id)
        REFERENCES ledger.accounts (id, kind, saver_id),
    -- ledger.post refuses before it comes to these two: they are the net under it.
    CONSTRAINT balances_not_overdrawn CHECK (kind = 'receivable' OR balance_cents >= 0),
    CONSTRAINT balances_receivable_not_overpaid CHECK (kind <> 'receivable' OR balance_cents <= 0),
    CONSTRAINT balances_version_counts CHECK (version >= 0),
    CONSTRAINT balances_start_at_zero CHECK (version <> 0 OR balance_cents = 0)
) WITH (fillfactor = 50); -- room on the page, so that a new balance is a heap-only update
ALTER TABLE ledger.balances OWNER TO zanari_ledger_owner;

CREATE INDEX balances_saver_idx ON ledger.balances (saver_id);

COMMENT ON TABLE ledger.balances IS 'The running balance of each saver account, as stored: positive is a credit. Always its last entry.';

-- Transfers and entries -----------------------------------------------------------------------------------
CREATE TABLE ledger.transfers (
    id        uuid NOT NULL,
    key       text NOT NULL,
    kind      text NOT NULL,
    event_at  timestamptz NOT NULL,
    posted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    metadata  jsonb NOT NULL DEFAULT '{}',
    xact      xid8 NOT NULL DEFAULT pg_current_xact_id(),

    CONSTRAINT transfers_pkey PRIMARY KEY (id),
    CONSTRAINT transfers_key_unique UNIQUE (key),
    CONSTRAINT transfers_key_sized CHECK (length(key) BETWEEN 1 AND 200),
    CONSTRAINT transfers_kind_named CHECK (kind ~ '^[a-z][a-z0-9_]{0,62}$'),
    CONSTRAINT transfers_event_at_finite CHECK (isfinite(event_at)),
    CONSTRAINT transfers_metadata_object CHECK (jsonb_typeof(metadata) = 'object')
);
ALTER TABLE ledger.transfers OWNER TO zanari_ledger_owner;

COMMENT ON TABLE ledger.transfers IS 'Balanced entries that posted at once, under one key. Never changed: a correction is a new transfer.';
COMMENT ON COLUMN ledger.transfers.key IS 'What makes a transfer happen once: built from our own ids, never from a client''s text.';
COMMENT ON COLUMN ledger.transfers.event_at IS 'When it happened, by M-PESA''s clock; posted_at is when it was booked, by ours.';
COMMENT ON COLUMN ledger.transfers.metadata IS 'Ids that explain the transfer. No personal data: entries outlive erasure.';
COMMENT ON COLUMN ledger.transfers.xact IS 'The writing transaction: with pg_snapshot_xmin it tells which rows no running transaction can add to.';

-- No foreign keys: each would take a shared lock on the row of a system account that every transfer touches.
-- The guards on this table check the same, once per statement, and neither side can ever be deleted.
CREATE TABLE ledger.entries (
    id                     bigint GENERATED ALWAYS AS IDENTITY,
    amount_cents           bigint NOT NULL,
    account_previous_cents bigint,
    account_current_cents  bigint,
    account_version        bigint,
    xact                   xid8 NOT NULL DEFAULT pg_current_xact_id(),
    transfer_id            uuid NOT NULL,
    account_id             uuid NOT NULL,

    CONSTRAINT entries_pkey PRIMARY KEY (id),
    CONSTRAINT entries_amount_not_zero CHECK (amount_cents <> 0),
    CONSTRAINT entries_chain_whole CHECK (
        num_nulls(account_previous_cents, account_current_cents, account_version) IN (0, 3)
    ),
    CONSTRAINT entries_version_counts CHECK (account_version >= 1),
    CONSTRAINT entries_current_adds_up CHECK (account_previous_cents + amount_cents = account_current_cents)
);
ALTER TABLE ledger.entries OWNER TO zanari_ledger_owner;

CREATE INDEX entries_transfer_idx ON ledger.entries (transfer_id);
CREATE UNIQUE INDEX entries_version_unique ON ledger.entries (account_id, account_version)
    WHERE account_version IS NOT NULL;
-- A system account's balance is a snapshot and the entries of later transactions: this index holds them.
CREATE INDEX entries_system_idx ON ledger.entries (account_id, xact) INCLUDE (amount_cents, id)
    WHERE account_version IS NULL;

COMMENT ON TABLE ledger.entries IS 'One immutable debit (negative) or credit (positive) on one account.';
COMMENT ON COLUMN ledger.entries.account_version IS 'The nth entry of a saver account, without gaps; null on system accounts, as are previous and current.';

-- Who may read --------------------------------------------------------------------------------------------
ALTER TABLE ledger.accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger.balances ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger.transfers ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger.entries ENABLE ROW LEVEL SECURITY;

GRANT SELECT ON ledger.accounts, ledger.balances, ledger.entries TO zanari_api;
GRANT SELECT ON ledger.accounts, ledger.balances, ledger.transfers, ledger.entries TO zanari_system;

CREATE POLICY accounts_own ON ledger.accounts FOR SELECT TO zanari_api
    USING (saver_id = nullif((SELECT current_setting('zanari.saver_id', true)), '')::uuid);
CREATE POLICY balances_own ON ledger.balances FOR SELECT TO zanari_api
    USING (saver_id = nullif((SELECT current_setting('zanari.saver_id', true)), '')::uuid);
CREATE POLICY entries_own ON ledger.entries FOR SELECT TO zanari_api
    USING (account_id IN (
        SELECT b.account_id
          FROM ledger.balances AS b
         WHERE b.saver_id = nullif((SELECT current_setting('zanari.saver_id', true)), '')::uuid
    ));
CREATE POLICY accounts_all ON ledger.accounts FOR SELECT TO zanari_system USING (true);
CREATE POLICY balances_all ON ledger.balances FOR SELECT TO zanari_system USING (true);
CREATE POLICY transfers_all ON ledger.transfers FOR SELECT TO zanari_system USING (true);
CREATE POLICY entries_all ON ledger.entries FOR SELECT TO zanari_system USING (true);

-- Opening and closing -------------------------------------------------------------------------------------
-- Row level security does not reach into a SECURITY DEFINER function. What such a function does for a
-- saver's request it limits by this, so that a mistaken id cannot touch another saver's account.
CREATE FUNCTION ledger.calling_saver_id() RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path = ''
AS $$
    SELECT CASE
        WHEN current_setting('role', true) = 'zanari_api'
        -- A request that names nobody is limited to nobody, not to everybody.
        THEN coalesce(nullif(current_setting('zanari.saver_id', true), ''), '00000000-0000-0000-0000-000000000000')::uuid
    END
$$;
ALTER FUNCTION ledger.calling_saver_id() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.calling_saver_id() FROM PUBLIC;
COMMENT ON FUNCTION ledger.calling_saver_id() IS 'The only saver the caller may act for; null when it may act for all.';

-- A uuid from a name (RFC 9562, version 8 over SHA-256: core Postgres has no SHA-1, which version 5 asks for).
CREATE FUNCTION ledger.named_id(name text) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = ''
AS $$
    SELECT encode(set_byte(set_byte(digest, 6, get_byte(digest, 6) & 15 | 128), 8, get_byte(digest, 8) & 63 | 128), 'hex')::uuid
      FROM (SELECT substring(sha256(convert_to('zanari.ledger:' || name, 'UTF8')) FOR 16) AS digest) AS hashed
$$;
ALTER FUNCTION ledger.named_id(text) OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.named_id(text) FROM PUBLIC;
COMMENT ON FUNCTION ledger.named_id(text) IS 'The id that belongs to a name, in every database and in ledger/accounts.py alike.';

CREATE FUNCTION ledger.open_accounts(for_saver_id uuid, account_ids uuid[], account_kinds text[]) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = ''
AS $$
DECLARE
    differing uuid;
BEGIN
    IF ledger.calling_saver_id() <> for_saver_id THEN
        RAISE EXCEPTION 'a request for one saver may not open accounts of another' USING ERRCODE = '42501';
    END IF;
    WITH opened AS (
        INSERT INTO ledger.accounts (id, kind, normal_side, saver_id)
        SELECT w.id, w.kind, CASE w.kind WHEN 'receivable' THEN 'debit' ELSE 'credit' END, for_saver_id
          FROM unnest(account_ids, account_kinds) AS w (id, kind)
         ORDER BY w.id
            ON CONFLICT (id) DO NOTHING
        RETURNING id, saver_id, kind
    )
    INSERT INTO ledger.balances (account_id, saver_id, kind)
    SELECT o.id, o.saver_id, o.kind FROM opened AS o;

    -- Opening the same account again is nothing; an id that is some other account's is a mistake.
    SELECT w.id INTO differing
      FROM unnest(account_ids, account_kinds) AS w (id, kind)
     WHERE NOT EXISTS (
               SELECT FROM ledger.accounts AS a
                WHERE a.id = w.id AND a.kind = w.kind AND a.saver_id = for_saver_id
           )
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % is already open as something else', differing
            USING ERRCODE = '23505', CONSTRAINT = 'accounts_pkey', SCHEMA = 'ledger', TABLE = 'accounts';
    END IF;
END
$$;
ALTER FUNCTION ledger.open_accounts(uuid, uuid[], text[]) OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.open_accounts(uuid, uuid[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.open_accounts(uuid, uuid[], text[]) TO zanari_api, zanari_system;
COMMENT ON FUNCTION ledger.open_accounts(uuid, uuid[], text[]) IS 'Opens accounts of one saver, at zero. Safe to repeat.';

CREATE FUNCTION ledger.open_floats(for_shortcode text) RETURNS void
    LANGUAGE sql
    SECURITY DEFINER
    SET search_path = ''
AS $$
    INSERT INTO ledger.accounts (id, kind, normal_side, shortcode, float_account)
    SELECT ledger.named_id('float:' || for_shortcode || ':' || w.float_account), 'float', 'debit', for_shortcode, w.float_account
      FROM unnest(ARRAY['utility', 'working', 'charges_paid']) AS w (float_account)
        ON CONFLICT (shortcode, float_account) DO NOTHING
$$;
ALTER FUNCTION ledger.open_floats(text) OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.open_floats(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.open_floats(text) TO zanari_system;
COMMENT ON FUNCTION ledger.open_floats(text) IS 'Opens the three floats of a shortcode. Safe to repeat.';

CREATE FUNCTION ledger.close_account(account_to_close uuid) RETURNS text
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = ''
AS $$
DECLARE
    holding bigint;
BEGIN
    -- The lock a posting takes, so that none can be between its own check and its entries.
    SELECT b.balance_cents INTO holding
      FROM ledger.balances AS b
     WHERE b.account_id = account_to_close
       AND b.saver_id = coalesce(ledger.calling_saver_id(), b.saver_id)
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'unknown_account';
    END IF;
    IF holding <> 0 THEN
        RETURN 'not_empty';
    END IF;
    UPDATE ledger.accounts AS a SET closed_at = clock_timestamp()
     WHERE a.id = account_to_close AND a.closed_at IS NULL;
    RETURN 'closed';
END
$$;
ALTER FUNCTION ledger.close_account(uuid) OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.close_account(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.close_account(uuid) TO zanari_api, zanari_system;
COMMENT ON FUNCTION ledger.close_account(uuid) IS 'Closes an empty saver account: closed, not_empty or unknown_account. Safe to repeat.';
