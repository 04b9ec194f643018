"""The register of receipts: what a receipt was counted as is found, in whichever role."""

from tests.support.app import Api
from tests.support.savers import Saver, new_receipt
from zanari_api.runtime.db import Role, Tx
from zanari_api.transactions import receipts
from zanari_api.transactions.receipts import Claim, Claimed, ReceiptRole


async def test_a_receipt_is_found_in_every_role_that_there_is(api: Api, saver: Saver) -> None:
    receipt, other = new_receipt(), new_receipt()

    async def claim_and_find(tx: Tx) -> list[Claimed]:
        await receipts.lock(tx, [receipt, other])
        for role in ReceiptRole:
            assert await receipts.claim(tx, role, [Claim(receipt, saver.id)]) == {receipt}
            assert await receipts.claim(tx, role, [Claim(receipt, None)]) == set()
        return await receipts.find(tx, [receipt, other])

    found = await api.db.unit_of_work(claim_and_find, role=Role.SYSTEM)
    assert {claimed.role for claimed in found} == {role.value for role in ReceiptRole}
    assert {(claimed.receipt, claimed.saver_id) for claimed in found} == {(receipt, saver.id)}
