"""What every slice stands on: database, identity, idempotency, problems, logs, metrics. Knows nothing of saving."""
