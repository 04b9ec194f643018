-- A fee is for one thing since the file before, proven for the rows that were there.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE mpesa.fees VALIDATE CONSTRAINT fees_for_one_subject;
