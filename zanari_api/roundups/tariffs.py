"""What M-PESA charges a saver for paying us: dated tables, kept as data with their source. Computes no amounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from zanari_api.kit.money import CENTS_PER_SHILLING

_FILE: Final = ("data", "tariffs.json")


class TariffInvalid(ValueError):  # noqa: N818 (named for what is wrong with the data)
    """A tariff's bands leave a gap, overlap, or charge less for more."""


@dataclass(frozen=True, slots=True)
class Band:
    """The payments up to and including an amount, from where the band below ends, and their fee."""

    up_to_cents: int
    fee_cents: int


@dataclass(frozen=True, slots=True)
class Tariff:
    """One dated table: its bands from the smallest up."""

    valid_from: date
    source: str
    bands: tuple[Band, ...]

    @property
    def most_cents(self) -> int:
        """The largest payment whose fee is known."""
        return self.bands[-1].up_to_cents

    def fee_cents(self, amount_cents: int) -> int:
        """Return what the saver pays for a payment of this amount. Raises ValueError where no band holds it."""
        if amount_cents <= 0:
            raise ValueError("nothing is paid for nothing")
        for band in self.bands:
            if amount_cents <= band.up_to_cents:
                return band.fee_cents
        raise ValueError("the fee of so large a payment is not known")


class _BandData(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    from_kes: int = Field(ge=1)
    to_kes: int = Field(ge=1)
    fee_kes: int = Field(ge=0)


class _TariffData(BaseModel):
    model_config = ConfigDict(extra="forbid")

    valid_from: date
    source: str = Field(min_length=1)
    bands: tuple[_BandData, ...] = Field(min_length=1)


_TARIFFS: Final = TypeAdapter(list[_TariffData])


def parse_tariffs(data: bytes) -> tuple[Tariff, ...]:
    """Read tariffs from JSON, the oldest first. Raises TariffInvalid, or pydantic's ValidationError."""
    document: Mapping[str, object] = orjson.loads(data)
    tariffs = tuple(_tariff(each) for each in _TARIFFS.validate_python(document["tariffs"]))
    dates = [tariff.valid_from for tariff in tariffs]
    if not tariffs or dates != sorted(set(dates)):
        raise TariffInvalid("tariffs are listed by date, each date once, and there is at least one")
    return tariffs


@cache
def load_tariffs() -> tuple[Tariff, ...]:
    """Return the tariffs that come with the service, read once."""
    return parse_tariffs(resources.files("zanari_api.roundups").joinpath(*_FILE).read_bytes())


def tariff_on(day: date, tariffs: Sequence[Tariff]) -> Tariff:
    """Return the tariff that holds on a day; the first one for the time before it too."""
    return next((tariff for tariff in reversed(tariffs) if tariff.valid_from <= day), tariffs[0])


def _tariff(data: _TariffData) -> Tariff:
    starts_at, fee = 1, 0
    for band in data.bands:
        if band.from_kes != starts_at or band.to_kes < band.from_kes:
            raise TariffInvalid(f"the band from KES {band.from_kes} should begin at {starts_at}")
        if band.fee_kes < fee:
            raise TariffInvalid(f"the band from KES {band.from_kes} charges less than the one below it")
        starts_at, fee = band.to_kes + 1, band.fee_kes
    return Tariff(
        valid_from=data.valid_from,
        source=data.source,
        bands=tuple(
            Band(band.to_kes * CENTS_PER_SHILLING, band.fee_kes * CENTS_PER_SHILLING) for band in data.bands
        ),
    )
