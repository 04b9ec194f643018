"""Names that vulture cannot see used, each for the reason given. Never run; read by `make dead-code` alone.

Routes and commands are known to it by their decorators, and `schemas.py` files, whose fields clients read, are left
out of the search (pyproject.toml).
"""

# Read by a library: Pydantic, limits, uvicorn, the standard library.
_.model_config
_.width
_.STORAGE_SCHEME
_.base_exceptions
_.check
_.reset
_.disabled
_.showwarning
_.should_exit
_.extra_groups
_.logged
_.get_reset_query
_.media_type
_.do_GET

# Parameters whose names a protocol fixes.
_.query
_.trace

# Annotations that are quoted, or cast to by name, because the class is not generic at run time.
_.PoolConnectionProxy
_.MutableMapping

# Types that only `schemas.py` files use.
_.Cents
_.Text

# Columns of rows that are built by name, and compared or written out whole.
_.fsync
_.synchronous_commit
_.inherit
_.superuser
_.bypass_rls
_.create_role
_.create_db
_.replication
_.invariant
_.metadata
_.transfer_id

# What M-PESA tells us of a payment and nothing is decided on.
_.transaction_type
_.invoice_number
_.org_balance_cents
_.third_party_id
_.msisdn_raw
_.middle_name

# What a result of M-PESA's tells and nothing is decided on: kept for whoever looks into one.
_.result_type
_.result_text
_.receiver_registered
_.initiated_at
_.available_cents
_.reserved_cents
_.uncleared_cents

# Words of a closed vocabulary: the database, the wire or the settings know each, code need not name all.
_.RECEIVABLE
_.FLOAT
_.IN_FLIGHT
_.DUST
_.FUNDING
_.FEES
_.WORKING
_.CHARGES_PAID
_.STK
_.B2C
_.STATUS
_.BALANCE
_.PULL
_.ASKING
_.UPDATE
_.SMS
_.STATEMENT
_.STAGING
_.PAYOUT
_.ASSIGNED
_.RETURNED

# What is for operators and scheduled checks to call (`check` above is one of these too).
_.take_snapshots

# Used by the schemas, which are not looked into.
Day
Instant
LONGEST

# The emulators, for tests and simulations.
_.received_by
_.seeded
_.none

# What the standard library's HTTP server calls.
_.do_POST
_.log_message
