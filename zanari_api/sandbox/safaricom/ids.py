"""Makes the ids Safaricom makes, in their shapes, from a seed. An id it has given out is never given out again."""

import random
import string
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from zanari_api.kit.clock import EAT

_FIRST_YEAR: Final = 2006
_DAYS: Final = "123456789ABCDEFGHIJKLMNOPQRSTUV"
_RECEIPT_CHARACTERS: Final = string.ascii_uppercase + string.digits

Item = TypeVar("Item")


class Ids:
    """One stream of ids: the same seed and the same times give the same ids."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"ids:{seed}")  # noqa: S311 (ids are not secrets here; a seed must repeat)
        self.used: set[str] = set()

    def receipt(self, now: datetime) -> str:
        """Return ten characters: a letter for the year, one for the month, one for the day, seven more."""
        day = _day_letters(now)
        while True:
            receipt = day + "".join(self._random.choices(_RECEIPT_CHARACTERS, k=7))
            if self._is_new(receipt):
                return receipt

    def placeholder(self, now: datetime) -> str:
        """Return what stands for a receipt in answers that have none. It is not unique."""
        return _day_letters(now) + "0000000"

    def checkout_request(self, now: datetime, msisdn: str) -> str:
        """Return `ws_CO_`, day to millisecond in East Africa Time, and the nine national digits."""
        at = now.astimezone(EAT)
        while True:
            made = f"ws_CO_{at:%d%m%Y%H%M%S}{at.microsecond // 1000:03d}{msisdn[-9:]}"
            if self._is_new(made):
                return made
            at += timedelta(milliseconds=1)

    def conversation(self, now: datetime) -> str:
        """Return `AG_YYYYMMDD_` and twenty hex digits."""
        while True:
            made = f"AG_{now.astimezone(EAT):%Y%m%d}_{self._random.randrange(16**20):020x}"
            if self._is_new(made):
                return made

    def request(self) -> str:
        """Return an id as Daraja gives one to each request: `f1e2-4b95-a71d-b30d3cdbb7a7942864`."""
        while True:
            groups = [f"{self._random.randrange(16**4):04x}" for _ in range(3)]
            tail = f"{self._random.randrange(16**12):012x}{self._random.randrange(10**7):07d}"
            made = "-".join([*groups, tail])
            if self._is_new(made):
                return made

    def token(self) -> str:
        """Return an access token's 28 characters."""
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=28))

    def chance(self) -> bool:
        """Toss a coin: for shapes that come one way or the other."""
        return self._random.random() < 0.5  # noqa: PLR2004 (a coin has two sides)

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Return the items in some order: nobody may count on Safaricom's."""
        return self._random.sample(items, len(items))

    def _is_new(self, made: str) -> bool:
        if made in self.used:
            return False
        self.used.add(made)
        return True


def _day_letters(now: datetime) -> str:
    at = now.astimezone(EAT)
    year = string.ascii_uppercase[(at.year - _FIRST_YEAR) % 26]
    return year + string.ascii_uppercase[at.month - 1] + _DAYS[at.day - 1]
