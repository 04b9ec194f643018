-- How many collections are open, and since when, is read every few seconds: it must not read those that ended.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- A migration is one transaction, which an index that is built beside writers cannot be part of. What would write
-- meanwhile is the worker, which comes again.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX collections_open ON savings.collections (created_at) WHERE state = 'requested';
