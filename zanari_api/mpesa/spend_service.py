"""Takes signed spend records in: finds whose number each was, has them recorded, notes what nobody owns."""

from collections.abc import Sequence

import orjson

from zanari_api.kit.ids import new_id
from zanari_api.mpesa import queries
from zanari_api.mpesa.records import SpendRecord
from zanari_api.roundups.service import record_spends
from zanari_api.roundups.spends import Policy, Recorded, RecordStatus, Source, Spend
from zanari_api.runtime.crypto import IndexKey
from zanari_api.runtime.db import Tx
from zanari_api.transactions.receipts import ReceiptRole
from zanari_api.users import service as users
from zanari_api.users.rules import link_at


async def receive_spends(
    tx: Tx, records: Sequence[SpendRecord], *, index: IndexKey, policy: Policy
) -> list[Recorded]:
    """Record signed spends and reversals; return what came of each, in input order. Runs as Role.SYSTEM.

    A number belongs to the saver who held it at the time of the spend. Raises Rerun as record_spends.
    """
    links = await users.list_links(tx, index=index, msisdns=sorted({record.msisdn for record in records}))
    spends: list[Spend] = []
    for record in records:
        link = link_at(links[record.msisdn], record.event_at)
        spends.append(
            Spend(
                receipt=record.receipt,
                saver_id=None if link is None else link.saver_id,
                source=Source.WEBHOOK,
                kind=record.kind,
                amount_cents=record.amount_cents,
                event_at=record.event_at,
                content_digest=_digest(record, index),
                merchant_name=record.merchant_name,
                merchant_shortcode=record.merchant_shortcode,
                to_private_person=record.counterparty_is_private,
                balance_after_cents=record.balance_after_cents,
                is_reversal=record.undoes is not None,
                reverses=record.reverses,
            )
        )
    recorded = await record_spends(tx, spends, policy=policy)
    await _note(tx, records, recorded, index)
    return recorded


async def _note(
    tx: Tx, records: Sequence[SpendRecord], recorded: Sequence[Recorded], index: IndexKey
) -> None:
    """Leave a trace of what had no effect: spends without a saver, receipts that came with other content."""
    unmatched = [
        (index.digest("unmatched_receipt", record.receipt.encode()), index.number(record.msisdn))
        for record, came in zip(records, recorded, strict=True)
        if came.status is RecordStatus.UNMATCHED
    ]
    if unmatched:
        await queries.note_unmatched(tx, unmatched)
    for came in recorded:
        if came.discrepancy is not None:
            await queries.insert_discrepancy(
                tx, discrepancy_id=new_id(), role=ReceiptRole.SIGNED_SPEND, discrepancy=came.discrepancy
            )


def _digest(record: SpendRecord, index: IndexKey) -> bytes:
    """Hash what M-PESA said of the payment itself; the status is left out, a reversal is news of the same spend."""
    content = (
        record.receipt,
        record.kind,
        record.amount_cents,
        record.msisdn,
        record.event_at.isoformat(),
        record.merchant_name,
        record.merchant_shortcode,
        record.account_reference,
    )
    return index.digest("spend_content", orjson.dumps(content))
