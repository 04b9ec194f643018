"""Bounds how many lines one event may write. Bounds only the log: never an answer, never a count."""

import asyncio
from typing import Final

import structlog

WINDOW_S: Final = 60.0
LINES_PER_WINDOW: Final = 10


class LogBudget:
    """Writes the first lines of each window, and afterwards once how many were kept back.

    For what strangers can cause at will, such as wrong signatures. Used within a running event loop.
    """

    def __init__(self, event: str, *, per_window: int = LINES_PER_WINDOW, window_s: float = WINDOW_S) -> None:
        self._event = event
        self._per_window = per_window
        self._window_s = window_s
        self._written = 0
        self._suppressed = 0
        self._closing: asyncio.TimerHandle | None = None
        self._log = structlog.get_logger(__name__)

    def warning(self, **fields: object) -> None:
        """Write the event with these fields, while the budget lasts."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(self._window_s, self._close)
        if self._written < self._per_window:
            self._written += 1
            self._log.warning(self._event, **fields)
        else:
            self._suppressed += 1

    def _close(self) -> None:
        """End the window. A new one begins with the next event."""
        if self._suppressed:
            self._log.warning("log_lines_suppressed", of=self._event, suppressed=self._suppressed)
        self._closing = None
        self._written = self._suppressed = 0
