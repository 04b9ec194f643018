"""Fills a ledger with transfers of savers who take no part in what is measured, whole and in order as posting does."""

from stand import Stand

FILLERS = 10_000
"""Savers among whom the transfers are spread."""

# Past the triggers, which would look at each row; what they demand is kept all the same: two entries a transfer that
# come to nothing, gap-free versions, balances that follow. A first transfer from the funding account fills a wallet.
FILL = """
    SET session_replication_role = replica;
    INSERT INTO ledger.accounts (id, kind, normal_side, saver_id)
        SELECT md5(kind || '/' || n)::uuid, kind, 'credit', md5('saver/' || n)::uuid
          FROM generate_series(1, {savers}) AS n, (VALUES ('wallet'), ('goal')) AS k (kind);
    INSERT INTO ledger.transfers (id, key, kind, event_at)
        SELECT md5('open/' || n)::uuid, 'filling:' || n, 'filling', now() FROM generate_series(1, {savers}) AS n;
    INSERT INTO ledger.entries (amount_cents, account_previous_cents, account_current_cents, account_version,
                                transfer_id, account_id)
        SELECT 1000000000, 0, 1000000000, 1, md5('open/' || n)::uuid, md5('wallet/' || n)::uuid
          FROM generate_series(1, {savers}) AS n;
    INSERT INTO ledger.entries (amount_cents, transfer_id, account_id)
        SELECT -1000000000, md5('open/' || n)::uuid, (SELECT id FROM ledger.accounts WHERE kind = 'funding')
          FROM generate_series(1, {savers}) AS n;
    INSERT INTO ledger.transfers (id, key, kind, event_at)
        SELECT md5(n || '/' || round)::uuid, 'filling:' || n || ':' || round, 'filling', now()
          FROM generate_series(1, {rounds}) AS round, generate_series(1, {savers}) AS n;
    INSERT INTO ledger.entries (amount_cents, account_previous_cents, account_current_cents, account_version,
                                transfer_id, account_id)
        SELECT sign * 300, opening + sign * 300 * (round - 1), opening + sign * 300 * round, round + version,
               md5(n || '/' || round)::uuid, md5(kind || '/' || n)::uuid
          FROM generate_series(1, {rounds}) AS round, generate_series(1, {savers}) AS n,
               (VALUES ('wallet', -1, 1000000000, 1), ('goal', 1, 0, 0)) AS k (kind, sign, opening, version);
    INSERT INTO ledger.balances (account_id, saver_id, kind, balance_cents, version)
        SELECT md5(kind || '/' || n)::uuid, md5('saver/' || n)::uuid, kind, opening + sign * 300 * {rounds},
               {rounds} + version
          FROM generate_series(1, {savers}) AS n,
               (VALUES ('wallet', -1, 1000000000, 1), ('goal', 1, 0, 0)) AS k (kind, sign, opening, version);
    SET session_replication_role = DEFAULT;
    ANALYZE ledger.transfers, ledger.entries, ledger.balances, ledger.accounts;
"""


async def fill(stand: Stand, entries: int) -> int:
    """Add about so many entries; return how many the ledger has then. Raises RuntimeError if they are not in order."""
    rounds = max(1, entries // 2 // FILLERS)
    await stand.alter(FILL.format(savers=FILLERS, rounds=rounds))
    (row,) = await stand.look("SELECT count(*) AS entries FROM ledger.entries")
    return int(row["entries"])
