-- A receipt is looked up in all its roles at once, by every batch of spends and every payment in: the key begins with it.
-- By role first, Postgres 15 and 17 read the whole register where they kept a plan from when it was small.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- A migration is one transaction, which an index that is built beside writers cannot be part of. The register is small
-- before the first savers come; spends and payments that wait for it meanwhile are sent again.
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX receipts_by_receipt ON mpesa.receipts (receipt, role);

-- The same guarantee under the same name takes its place in the same statement.
ALTER TABLE mpesa.receipts
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT receipts_claimed_once,
    ADD CONSTRAINT receipts_claimed_once PRIMARY KEY USING INDEX receipts_by_receipt;
