"""A moment as an operator types it, in East Africa Time as M-PESA's statements write it. Knows no verb."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from zanari_api.cli.terminal import fail
from zanari_api.kit.clock import EAT

_FORMATS: Final = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]

AtOption = Annotated[
    datetime | None,
    typer.Option(
        "--at",
        formats=_FORMATS,
        help="When it happened, by M-PESA's statement (East Africa Time); now when left out.",
    ),
]

AsOfOption = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=_FORMATS,
        help="As posted up to then (East Africa Time); now when left out.",
    ),
]


def moment(at: datetime | None, *, now: datetime) -> datetime:
    """Return the instant that was meant; one that is still to come is refused."""
    if at is None:
        return now
    meant = at.replace(tzinfo=EAT).astimezone(UTC)
    if meant > now:
        fail(f"{at} in East Africa Time is still to come")
    return meant
