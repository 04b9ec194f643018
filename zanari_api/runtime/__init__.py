"""What every slice stands on: the database, identity, idempotency, problems, logs and metrics. Knows nothing of saving."""
