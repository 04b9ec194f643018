"""Counts what the service does, and exposes it. Which metrics there are, `instruments` declares."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from zanari_api.kit.errors import Problem, Refusal, Unavailable
from zanari_api.runtime.instruments import Instruments
from zanari_api.runtime.jobs import Backlog, JobOutcome

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
OTHER_METHOD: Final = "other"
"""What a made-up method is counted as, so that callers cannot invent series."""

SERVER_ERRORS: Final = (500, 503)


class Metrics(Instruments):
    """The service's metrics. One per application, so that two in one process never share a count."""

    def __init__(self) -> None:
        super().__init__()
        self._requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def start_jobs_at_zero(self, jobs: Sequence[str], schedules: Sequence[str]) -> None:
        """Expose the counters of these jobs and schedules at 0, so that the first event is seen."""
        self.start_at_zero(self.job_runs, jobs, JobOutcome)
        self.start_at_zero(self.schedule_runs, schedules, (JobOutcome.DONE, JobOutcome.FAILED))

    def set_backlog(self, job: str, backlog: Backlog, now: datetime) -> None:
        """Show what a job has to do, as it was at `now`."""
        oldest = backlog.oldest_due_at or now
        self._jobs_due.labels(job).set(backlog.due)
        self._jobs_dead.labels(job).set(backlog.dead)
        self._job_lag.labels(job).set(max(0, (now - oldest).total_seconds()))

    def start_problems_at_zero(self) -> None:
        """Expose each problem class that is defined by now at 0; called when all slices are imported."""
        for family, counter in ((Refusal, self.refusals), (Unavailable, self.unavailable)):
            self.start_at_zero(counter, {problem.code for problem in _descendants(family)})

    def start_routes_at_zero(self, routes: Iterable[tuple[str, str]]) -> None:
        """Expose the server errors of each (method, route) at 0, so that the first one is seen."""
        for method, route in routes:
            for status_code in SERVER_ERRORS:
                self._http_requests.labels(method, route, str(status_code))

    def start_answers_at_zero(self, answers: Iterable[tuple[str, str, int]]) -> None:
        """Expose (method, route, status) at 0, how long each took too: what a service's share of errors is of."""
        for method, route, status_code in answers:
            self._http_requests.labels(method, route, str(status_code))
            self._http_duration.labels(method, route, str(status_code))

    def tell_build(self, *, version: str, process: str) -> None:
        """Expose what runs here: a version, and `api` or `worker`."""
        self._build_info.labels(version, process).set(1)

    def watch_pool(self, pool_use: Callable[[], tuple[int, int]], *, waiting: Callable[[], int]) -> None:
        """Read (connections in use, connections at most) and who waits for one from the pool at each scrape."""
        self._connections_waiting.set_function(waiting)
        self._connections_in_use.set_function(lambda: pool_use()[0])
        self._connections_max.set_function(lambda: pool_use()[1])

    def count_request(self, *, method: str, route: str, status_code: int, duration_s: float) -> None:
        """Count one answered request. `route` is a template: a raw path would make a series per caller."""
        key = (method if method in METHODS else OTHER_METHOD, route, status_code)
        children = self._requests.get(key)
        if children is None:
            labels = (key[0], route, str(status_code))
            children = (self._http_requests.labels(*labels), self._http_duration.labels(*labels))
            self._requests[key] = children
        children[0].inc()
        children[1].observe(duration_s)

    def observe_transaction(self, type_: str, amount_cents: int) -> None:
        """Record the amount of one feed row. The one place where cents become shillings: a histogram."""
        self._transaction_amount.labels(type_).observe(amount_cents / 100)

    def count_problem(self, problem: Problem) -> None:
        counter = self.unavailable if isinstance(problem, Unavailable) else self.refusals
        counter.labels(problem.code).inc()

    def expose(self) -> tuple[bytes, str]:
        """Return the metrics in Prometheus's text format, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


def _descendants(problem: type[Problem]) -> set[type[Problem]]:
    found: set[type[Problem]] = {problem}
    for child in problem.__subclasses__():
        found |= _descendants(child)
    return found
