-- The checks that the file before put on deposits, proven for the rows that were there.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE savings.deposits VALIDATE CONSTRAINT deposits_channel_known;
ALTER TABLE savings.deposits VALIDATE CONSTRAINT deposits_receipt_unless_queried;
