"""Introduces a development service and its emulated Safaricom to each other: addresses, and the first float."""

from typing import Final

from zanari_api.daraja.client import DarajaClient
from zanari_api.kit.clock import Clock
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import float_service
from zanari_api.mpesa.config import MpesaConfig
from zanari_api.mpesa.float_service import Move, Place
from zanari_api.mpesa.inbox import CallbackKind
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator

OPENING_FLOAT_CENTS: Final = 10_000_000
"""KES 100,000, from which payouts are made."""

OPERATOR: Final = "development"


async def introduce(
    safaricom: SafaricomEmulator,
    *,
    daraja: DarajaClient,
    config: MpesaConfig,
    database: Database,
    clock: Clock,
) -> None:
    """Name our addresses to Safaricom, and on the first start bring float to the shortcode of payouts.

    Both sets of books begin with the same receipt. Safe to repeat. Raises DarajaError, DatabaseUnavailable.
    """
    await daraja.register_c2b_urls(
        shortcode=daraja.config.shortcode,
        confirmation_url=config.callback_url(CallbackKind.C2B_CONFIRMATION),
        validation_url=config.callback_url(CallbackKind.C2B_VALIDATION),
    )
    payouts_from = daraja.config.b2c_shortcode
    if payouts_from is None or safaricom.books.position()[payouts_from].utility_cents:
        return
    receipt = await safaricom.deposit_float(payouts_from, OPENING_FLOAT_CENTS)
    move = Move(
        source=None,
        target=Place(payouts_from, FloatAccount.UTILITY),
        amount_cents=OPENING_FLOAT_CENTS,
        receipt=receipt,
        event_at=clock.now(),
    )

    async def fund(tx: Tx) -> None:
        await float_service.book(tx, move, operator=OPERATOR)

    await database.unit_of_work(fund, role=Role.SYSTEM)
