-- The roles that receipts may have since the file before, proven for the rows that were there.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE mpesa.receipts VALIDATE CONSTRAINT receipts_role_known;
