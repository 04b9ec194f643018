"""What of the intake does not stay: bodies of callbacks, and hashes of spends that matched nobody.

A body goes and its row stays, so that the same callback still counts as known. One that waits, failed or is in
quarantine keeps its body, however old it is: somebody still has to act on it.
"""

from datetime import timedelta
from typing import Final

from zanari_api.mpesa import inbox_queries, queries
from zanari_api.runtime.db import Tx
from zanari_api.runtime.purging import Age, Purge


async def _erase_bodies(tx: Tx, age: Age) -> int:
    return await inbox_queries.erase_bodies(tx, before=age.before, now=age.now, limit=age.limit)


async def _forget_unmatched(tx: Tx, age: Age) -> int:
    return await queries.delete_unmatched(tx, before=age.before, limit=age.limit)


BODIES: Final = Purge(name="purge_callback_bodies", kept_for=timedelta(days=90), batch=_erase_bodies)

UNMATCHED: Final = Purge(name="purge_unmatched_spends", kept_for=timedelta(days=30), batch=_forget_unmatched)
