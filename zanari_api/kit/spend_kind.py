"""Names the kinds of payment that M-PESA knows. Says nothing of which of them round up: that is a rule."""

from enum import StrEnum


class SpendKind(StrEnum):
    """What a payment was, whatever words the channel that told us uses."""

    TILL = "till"
    "paid to a business's till (Lipa na M-PESA Buy Goods)"

    PAYBILL = "paybill"
    "paid to a business's paybill, with an account reference"

    POCHI = "pochi"
    "paid to a person's Pochi la Biashara"

    SEND_MONEY = "send_money"
    "sent to a person"

    AIRTIME = "airtime"
    "airtime or bundles bought"

    WITHDRAW = "withdraw"
    "cash taken out at an agent or a machine"

    FULIZA = "fuliza"
    "an overdraft taken or paid back"

    DEPOSIT = "deposit"
    "cash put in at an agent"

    RECEIVE = "receive"
    "money that came in"

    OTHER = "other"
    "a kind this service does not know"
