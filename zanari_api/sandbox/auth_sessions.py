"""Which sessions and users of the Auth emulator still stand. In memory: it forgets when the emulator stops."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

BAN_DURATION: Final = "^(none|[0-9]{1,6}h)$"
NO_BAN: Final = "none"


class Sessions:
    """What has ended, by session and by user. What it was never told of stands: other processes mint tokens too."""

    def __init__(self) -> None:
        self._begun: dict[str, set[str]] = {}
        self._ended: set[str] = set()
        self._ended_until_s: dict[str, int] = {}
        self._banned_until: dict[str, datetime] = {}

    def begin(self, claims: Mapping[str, object]) -> None:
        """Remember whose session a new token is of."""
        self._begun.setdefault(str(claims.get("sub")), set()).add(str(claims.get("session_id")))

    def end(self, claims: Mapping[str, object]) -> None:
        """End the session of one token."""
        self._ended.add(str(claims["session_id"]))

    def end_all(self, claims: Mapping[str, object], *, now: datetime) -> None:
        """End every session of a token's user. One that begins afterwards stands, within the same second too."""
        user = str(claims["sub"])
        self.end(claims)
        self._ended |= self._begun.pop(user, set())
        self._ended_until_s[user] = int(now.timestamp())

    def stands(self, claims: Mapping[str, object]) -> bool:
        """Say whether a token's session stands."""
        user, session = str(claims["sub"]), str(claims["session_id"])
        if session in self._ended:
            return False
        known = session in self._begun.get(user, ())
        return known or int(str(claims["iat"])) > self._ended_until_s.get(user, 0)

    def ban(self, user: str, duration: str, *, now: datetime) -> None:
        """Ban a user for hours, written `24h`, or lift the ban by `none`."""
        if duration == NO_BAN:
            self._banned_until.pop(user, None)
        else:
            self._banned_until[user] = now + timedelta(hours=int(duration.removesuffix("h")))

    def banned_until(self, user: str, *, now: datetime) -> datetime | None:
        """Return when a user's ban ends; None for somebody who is not banned."""
        until = self._banned_until.get(user)
        return until if until is not None and until > now else None
