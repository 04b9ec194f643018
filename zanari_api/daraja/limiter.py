"""A token bucket: so many calls a second from this process, some in a burst, the others in order of arrival."""

from datetime import timedelta

from zanari_api.kit.clock import Clock


class Limiter:
    """Hands out turns. The bucket holds one second's worth; a turn that is too far off is not handed out."""

    def __init__(self, *, clock: Clock, per_second: int, longest_wait: timedelta) -> None:
        self._clock = clock
        self._interval = timedelta(seconds=1) / per_second
        self._burst = timedelta(seconds=1) - self._interval
        self._longest_wait = longest_wait
        self._next_at = clock.now() - self._burst

    async def take(self) -> timedelta | None:
        """Wait for a turn and return how long that took; None, at once, when it would take too long.

        A turn that was handed out is gone, whether or not its holder waits for it.
        """
        now = self._clock.now()
        if self._next_at - now > self._longest_wait + self._interval:
            # No turn is handed out so far ahead: the clock was set back, and the bucket with it.
            self._next_at = now - self._burst
        turn_at = max(self._next_at, now - self._burst)
        wait = max(turn_at - now, timedelta())
        if wait > self._longest_wait:
            return None
        self._next_at = turn_at + self._interval
        if wait:
            await self._clock.sleep(wait.total_seconds())
        return wait
