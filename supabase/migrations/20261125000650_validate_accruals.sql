-- The two constraints that accruals got with collections, proven for the rows there were before.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE savings.accruals VALIDATE CONSTRAINT accruals_settled_once;
ALTER TABLE savings.accruals VALIDATE CONSTRAINT accruals_settled_when_whole;
