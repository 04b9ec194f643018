"""What a spend is filed under until its saver says otherwise. Pure."""

from typing import Final

from zanari_api.kit.spend_kind import SpendKind

_BY_KIND: Final = {
    SpendKind.TILL: "shopping",
    SpendKind.POCHI: "shopping",
    SpendKind.PAYBILL: "bills",
    SpendKind.SEND_MONEY: "people",
    SpendKind.AIRTIME: "airtime",
    SpendKind.WITHDRAW: "cash",
}


def category_of(kind: SpendKind) -> str:
    return _BY_KIND.get(kind, "other")
