"""What M-PESA charges us for a payout, by its dated table in `data/b2c_tariff.json`. Posts nothing.

The table ends at KES 150,000 as published; payments up to KES 250,000 take its last charge until a newer one is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

TARIFF_FILE: Final = "data/b2c_tariff.json"


@dataclass(frozen=True, slots=True)
class Band:
    """A charge, for amounts up to and including one."""

    up_to_cents: int
    charge_cents: int


@dataclass(frozen=True, slots=True)
class TariffTable:
    """The bands in force from a day on, smallest first, and where they were published."""

    in_force_from: date
    source: str
    bands: Sequence[Band]


def charge_cents(amount_cents: int, *, on: date) -> int:
    """Return the charge for a payout of that many cents on a Nairobi day. A day before all tables takes the first.

    Raises ValueError for an amount over the table's last band: no payout may be that large.
    """
    tables = _tables()
    table = max(
        (each for each in tables if each.in_force_from <= on),
        key=lambda each: each.in_force_from,
        default=tables[0],
    )
    for band in table.bands:
        if amount_cents <= band.up_to_cents:
            return band.charge_cents
    raise ValueError("more than M-PESA pays out at once")


@cache
def _tables() -> tuple[TariffTable, ...]:
    read: dict[str, Any] = orjson.loads(files("zanari_api.mpesa").joinpath(TARIFF_FILE).read_bytes())
    tables = (
        TariffTable(
            date.fromisoformat(table["in_force_from"]),
            table["source"],
            tuple(Band(**band) for band in table["bands"]),
        )
        for table in read["tables"]
    )
    return tuple(sorted(tables, key=lambda table: table.in_force_from))
