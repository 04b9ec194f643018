-- A receipt of a move of our own money, or of a payment given back from suspense, has a role of its own: what it is told
-- of as later, it is nobody's payment.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- It comes back in the same transaction, wider: what was allowed before still is.
-- squawk-ignore ban-drop-constraint
ALTER TABLE mpesa.receipts DROP CONSTRAINT receipts_role_known;
ALTER TABLE mpesa.receipts ADD CONSTRAINT receipts_role_known
    CHECK (role IN ('deposit', 'payout', 'signed_spend', 'reversal', 'own_move')) NOT VALID;
