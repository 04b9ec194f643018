"""What a reconciliation found, for people and for exit codes. Finds nothing itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from zanari_api.mpesa.break_rows import BreakRow
from zanari_api.mpesa.payout_hastening import Hastened
from zanari_api.reconciliation.comparing import Compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One comparison of all our accounts. `unanswered` are the shortcodes whose balances Safaricom did not tell."""

    at: datetime
    on: date | None
    compared: Sequence[Compared]
    unanswered: Sequence[str]
    breaks: Sequence[BreakRow]
    closed: Sequence[BreakRow]
    """What was closed by this comparison, each with its reason."""

    hastened: Hastened
    """What came of asking M-PESA about payouts in doubt."""

    @property
    def is_clean(self) -> bool:
        """Whether no break is open: the exit code of the command."""
        return not self.breaks


def age(since: datetime, now: datetime) -> str:
    """Write an age for a person: `3 d 4 h`, `12 min`, `40 s`."""
    seconds = max(0, (now - since) // timedelta(seconds=1))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
