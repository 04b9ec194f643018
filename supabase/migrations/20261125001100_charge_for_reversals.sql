-- A fee may be for a reversal too: it is then known by the deposit that was taken back, which happens to one once. What
-- the release before writes and reads, by payout alone, stays as it is.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE mpesa.fees ADD COLUMN deposit_id uuid;
COMMENT ON COLUMN mpesa.fees.deposit_id IS 'The deposit whose reversal it was charged for; null where it is for a payout.';

-- One small row per payout that was ever settled: writing and indexing them again stays far below the limit above.
-- squawk-ignore adding-field-with-default
ALTER TABLE mpesa.fees ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid();

-- The release before inserts ON CONFLICT (payout_id), which any unique index serves.
-- squawk-ignore constraint-missing-not-valid, disallowed-unique-constraint
ALTER TABLE mpesa.fees ADD CONSTRAINT fees_once_per_payout UNIQUE (payout_id);
-- squawk-ignore constraint-missing-not-valid, disallowed-unique-constraint
ALTER TABLE mpesa.fees ADD CONSTRAINT fees_once_per_reversal UNIQUE (deposit_id);

-- What it held is held by the line above, and it comes back below over the row's own id.
-- squawk-ignore ban-drop-constraint
ALTER TABLE mpesa.fees DROP CONSTRAINT fees_pkey;
-- squawk-ignore constraint-missing-not-valid, adding-serial-primary-key-field
ALTER TABLE mpesa.fees ADD CONSTRAINT fees_pkey PRIMARY KEY (id);
-- Whoever reads by payout never meets a row without one.
-- squawk-ignore ban-drop-not-null
ALTER TABLE mpesa.fees ALTER COLUMN payout_id DROP NOT NULL;
ALTER TABLE mpesa.fees ADD CONSTRAINT fees_for_one_subject CHECK (num_nonnulls(payout_id, deposit_id) = 1) NOT VALID;

COMMENT ON TABLE mpesa.fees IS
    'What M-PESA charged for each payout and each reversal, and who says so: the tariff until something better is known.';
