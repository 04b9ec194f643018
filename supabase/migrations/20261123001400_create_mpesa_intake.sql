-- What M-PESA told us: callbacks as they came, each receipt in each role once, and money without a saver.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE mpesa.receipts (
    role text NOT NULL CONSTRAINT receipts_role_known
        CHECK (role IN ('deposit', 'payout', 'signed_spend', 'reversal')),
    receipt text NOT NULL,
    saver_id uuid,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT receipts_claimed_once PRIMARY KEY (role, receipt)
);
COMMENT ON TABLE mpesa.receipts IS
    'A receipt counts once in each role, across every channel and for ever. `reversal` is claimed by the receipt it reverses.';

ALTER TABLE mpesa.receipts ENABLE ROW LEVEL SECURITY;
CREATE POLICY receipts_for_the_system ON mpesa.receipts TO zanari_system USING (true);
GRANT SELECT, INSERT ON mpesa.receipts TO zanari_system;

CREATE TABLE mpesa.callbacks (
    id uuid CONSTRAINT callbacks_pkey PRIMARY KEY,
    kind text NOT NULL,
    dedupe_hash bytea NOT NULL CONSTRAINT callbacks_dedupe_unique UNIQUE,
    body bytea NOT NULL,
    outcome text NOT NULL,
    saver_id uuid,
    deliveries integer NOT NULL DEFAULT 1,
    received_at timestamptz NOT NULL DEFAULT now(),
    last_received_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mpesa.callbacks IS 'The inbox: every callback that carried a valid token, stored before anything is done about it.';
COMMENT ON COLUMN mpesa.callbacks.body IS 'The raw body, encrypted under the inbox''s own data key. To be purged after 90 days.';
COMMENT ON COLUMN mpesa.callbacks.dedupe_hash IS 'Keyed hash of kind and body: a second delivery counts up instead of storing again.';
CREATE INDEX callbacks_by_time ON mpesa.callbacks (received_at);

ALTER TABLE mpesa.callbacks ENABLE ROW LEVEL SECURITY;
CREATE POLICY callbacks_for_the_system ON mpesa.callbacks TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON mpesa.callbacks TO zanari_system;

CREATE TABLE savings.deposits (
    saver_id uuid NOT NULL CONSTRAINT deposits_saver_exists REFERENCES savings.savers,
    id uuid NOT NULL,
    receipt text NOT NULL,
    channel text NOT NULL CONSTRAINT deposits_channel_known CHECK (channel IN ('c2b')),
    amount_cents bigint NOT NULL CONSTRAINT deposits_amount_positive CHECK (amount_cents > 0),
    goal_id uuid,
    shortcode text NOT NULL,
    callback_id uuid,
    event_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT deposits_pkey PRIMARY KEY (saver_id, id),
    CONSTRAINT deposits_receipt_unique UNIQUE (receipt)
);
COMMENT ON TABLE savings.deposits IS 'Money that came in over M-PESA and was credited to a saver.';

ALTER TABLE savings.deposits ENABLE ROW LEVEL SECURITY;
CREATE POLICY deposits_of_the_saver ON savings.deposits TO zanari_api
    USING (saver_id = (SELECT savings.current_saver_id()));
GRANT SELECT ON savings.deposits TO zanari_api;
CREATE POLICY deposits_for_the_system ON savings.deposits TO zanari_system USING (true);
GRANT SELECT, INSERT ON savings.deposits TO zanari_system;

CREATE TABLE mpesa.suspense_items (
    id uuid CONSTRAINT suspense_items_pkey PRIMARY KEY,
    receipt text NOT NULL CONSTRAINT suspense_items_receipt_unique UNIQUE,
    amount_cents bigint NOT NULL CONSTRAINT suspense_items_amount_positive CHECK (amount_cents > 0),
    shortcode text NOT NULL,
    reason text NOT NULL CONSTRAINT suspense_items_reason_known
        CHECK (reason IN ('no_reference', 'unknown_member')),
    callback_id uuid,
    event_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mpesa.suspense_items IS 'Receipts whose payer could not be matched; their money is in the suspense account.';

ALTER TABLE mpesa.suspense_items ENABLE ROW LEVEL SECURITY;
CREATE POLICY suspense_items_for_the_system ON mpesa.suspense_items TO zanari_system USING (true);
GRANT SELECT, INSERT ON mpesa.suspense_items TO zanari_system;

CREATE TABLE mpesa.discrepancies (
    id uuid CONSTRAINT discrepancies_pkey PRIMARY KEY,
    role text NOT NULL,
    receipt text NOT NULL,
    content_digest bytea NOT NULL,
    differs text[] NOT NULL,
    first_amount_cents bigint NOT NULL,
    later_amount_cents bigint NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT discrepancies_noted_once UNIQUE (role, receipt, content_digest)
);
COMMENT ON TABLE mpesa.discrepancies IS 'A known receipt that came again with other content. The first one stands; this is for a person to see.';

ALTER TABLE mpesa.discrepancies ENABLE ROW LEVEL SECURITY;
CREATE POLICY discrepancies_for_the_system ON mpesa.discrepancies TO zanari_system USING (true);
GRANT SELECT, INSERT ON mpesa.discrepancies TO zanari_system;

CREATE TABLE mpesa.unmatched_spends (
    receipt_hash bytea NOT NULL,
    number_hash bytea NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT unmatched_spends_pkey PRIMARY KEY (receipt_hash, number_hash)
);
COMMENT ON TABLE mpesa.unmatched_spends IS
    'Spends whose number no saver had linked: keyed hashes only, to be purged after 30 days. They consume nothing; a later delivery may match.';
CREATE INDEX unmatched_spends_by_time ON mpesa.unmatched_spends (first_seen_at);

ALTER TABLE mpesa.unmatched_spends ENABLE ROW LEVEL SECURITY;
CREATE POLICY unmatched_spends_for_the_system ON mpesa.unmatched_spends TO zanari_system USING (true);
GRANT SELECT, INSERT, UPDATE ON mpesa.unmatched_spends TO zanari_system;
