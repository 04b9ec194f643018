-- The checks that the file before put on suspense items, proven for the rows that were there.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE mpesa.suspense_items VALIDATE CONSTRAINT suspense_items_reason_known;
ALTER TABLE mpesa.suspense_items VALIDATE CONSTRAINT suspense_items_state_known;
ALTER TABLE mpesa.suspense_items VALIDATE CONSTRAINT suspense_items_resolved_by_somebody;
ALTER TABLE mpesa.suspense_items VALIDATE CONSTRAINT suspense_items_resolved_by_length;
ALTER TABLE mpesa.suspense_items VALIDATE CONSTRAINT suspense_items_evidence_length;
ALTER TABLE mpesa.suspense_items VALIDATE CONSTRAINT suspense_items_returned_with_receipt;
