-- Nothing is seeded by SQL. Money exists only as balanced transfers posted by the ledger, and names and numbers only
-- encrypted, so the demo saver is made by the service itself (`zanari dev`, `make run`), through the same code as any other.
SELECT 1;
