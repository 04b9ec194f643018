"""Which effect each kind of callback has. Has none of its own."""

from collections.abc import Mapping
from typing import Final

from zanari_api.mpesa import (
    balance_service,
    c2b_service,
    deposit_reversal,
    payout_service,
    pull_service,
    stk_service,
)
from zanari_api.mpesa.inbox import CallbackKind, Effect, Effected, InboxItem, Intake, Outcome
from zanari_api.runtime.db import Tx


async def note_only(tx: Tx, item: InboxItem, intake: Intake) -> Effected:  # noqa: ARG001 (an effect is given all of it)
    """Keep a callback that decides nothing, such as the notice that a question waited too long."""
    return Effected(Outcome.NOTED)


EFFECTS: Final[Mapping[CallbackKind, Effect]] = {
    CallbackKind.C2B_VALIDATION: c2b_service.judge,
    CallbackKind.C2B_CONFIRMATION: c2b_service.confirm,
    CallbackKind.STK: stk_service.receive,
    CallbackKind.B2C_RESULT: payout_service.receive_result,
    CallbackKind.B2C_TIMEOUT: payout_service.receive_timeout,
    CallbackKind.STATUS_RESULT: payout_service.receive_status,
    CallbackKind.STATUS_TIMEOUT: payout_service.receive_status_timeout,
    CallbackKind.BALANCE_RESULT: balance_service.receive,
    CallbackKind.BALANCE_TIMEOUT: note_only,
    CallbackKind.REVERSAL_RESULT: deposit_reversal.receive_result,
    CallbackKind.REVERSAL_TIMEOUT: deposit_reversal.receive_timeout,
    CallbackKind.PULL: pull_service.receive,
}
