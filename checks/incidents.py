"""Four incidents on a live service: each alert has to reach the receiver, and its end too once the cause is mended."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from checks import live as service
from checks.check import Check, CheckFailed, Fault, Site, needed
from checks.live import SERVE, WORK, Live
from checks.watching import Prometheus, Receiver, watching

ARRIVES_WITHIN_S: Final = 150
RESOLVES_WITHIN_S: Final = 120
QUIET_WITHIN_S: Final = 60
AGAIN_AFTER_S: Final = 6

ALWAYS_FIRING: Final = "Watchdog"
"""Says that the way to the receiver works."""

BREAKER_OPENS_AT: Final = 6
"""One more call than in a row may fail."""

GUARD: Final = "entries_make_whole_transfers"
BREAK_THE_BOOKS: Final = (
    f"DROP TRIGGER {GUARD} ON ledger.entries",
    """
    INSERT INTO ledger.entries (amount_cents, transfer_id, account_id)
    SELECT 12345, t.id, a.id
      FROM (SELECT id FROM ledger.transfers ORDER BY posted_at LIMIT 1) AS t,
           (SELECT id FROM ledger.accounts WHERE kind = 'suspense') AS a
    """,
)
MEND_THE_BOOKS: Final = (
    "SET LOCAL session_replication_role = replica",
    "DELETE FROM ledger.entries WHERE amount_cents = 12345",
    f"""
    CREATE TRIGGER {GUARD}
        AFTER INSERT ON ledger.entries REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION ledger.guard_entries()
    """,
)
CHECK_THE_BOOKS_NOW: Final = "UPDATE runtime.schedules SET next_run_at = now() WHERE name = 'books_check'"
"""The worker checks them every quarter of an hour: the next time is now, and it is the worker that does it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something that goes wrong, the alert that tells of it, and what mends it."""

    what: str
    alert: str
    happen: Callable[[Live], None]
    mend: Callable[[Live], None]
    again: Callable[[Live], None] = lambda _live: None
    """What has to go on until its end is seen: a breaker closes by a call that goes well."""


class _Numbers:
    """Savers that nobody was yet."""

    def __init__(self) -> None:
        self.last = 100

    def next(self, live: Live) -> service.Saver:
        self.last += 1
        return live.saver(self.last)


def check_incidents(site: Site) -> str:
    """Break four things, see each alert arrive, mend them, see each alert's end arrive."""
    savers, receiver = _Numbers(), Receiver()
    together, alone = _incidents(savers)
    with service.running(site) as live, watching(site, live.targets(), receiver) as prometheus:
        prometheus.wait_for_targets()
        service.traffic(live)
        _wait_until_quiet(prometheus)
        lines = _go_through(site, live, receiver, together)
        _wait_until_quiet(prometheus)
        lines += _go_through(site, live, receiver, alone)
        told = {each.alert for each in receiver.told}
    if ALWAYS_FIRING not in told:
        raise CheckFailed(f"{ALWAYS_FIRING} never came, so nobody would miss it when it stops coming")
    others = told - {ALWAYS_FIRING, *(each.alert for each in (*together, *alone))}
    site.say("\n    ".join(["incident: alert, arrived after, resolved after its mending", *lines]))
    also = ", ".join(sorted(others)) or "nothing else"
    return f"{len(lines)} alerts arrived and resolved, and {ALWAYS_FIRING}; told besides: {also}"


def _incidents(savers: _Numbers) -> tuple[list[Incident], list[Incident]]:
    """Return the incidents that happen at the same time, and those that the others could not be seen beside."""

    def fail_at_safaricom(live: Live) -> None:
        live.arm("stk", "http_error")
        live.arm("query", "http_error")
        for _ in range(BREAKER_OPENS_AT):
            ask_once(live)

    def ask_once(live: Live) -> None:
        savers.next(live).deposit(service.DEPOSIT_CENTS)

    def break_books(live: Live) -> None:
        live.alter(*BREAK_THE_BOOKS)
        live.alter(CHECK_THE_BOOKS_NOW)

    def mend_books(live: Live) -> None:
        live.alter(*MEND_THE_BOOKS)
        live.alter(CHECK_THE_BOOKS_NOW)

    return [
        Incident(
            what="Safaricom answers STK pushes with errors",
            alert="DarajaBreakerOpen",
            happen=fail_at_safaricom,
            mend=lambda live: live.mend(),
            again=ask_once,
        ),
        Incident(
            what="a superuser drops a trigger and adds an entry",
            alert="LedgerImbalance",
            happen=break_books,
            mend=mend_books,
        ),
        Incident(
            what="the API is killed",
            alert="ApiDown",
            happen=lambda live: live.kill(SERVE),
            mend=lambda live: live.start(SERVE),
        ),
    ], [
        Incident(
            what="the worker is stopped",
            alert="WorkerDown",
            happen=lambda live: live.stop(WORK),
            mend=lambda live: live.start(WORK),
        )
    ]


def _go_through(site: Site, live: Live, receiver: Receiver, incidents: Sequence[Incident]) -> list[str]:
    """Have incidents happen one after another, wait for their alerts, mend all, wait for their ends."""
    happened: dict[str, float] = {}
    for each in incidents:
        happened[each.alert] = time.monotonic()
        each.happen(live)
        site.say(f"{each.what}: waiting for {each.alert}")
    arrived = _wait(receiver, incidents, happened, firing=True, within=ARRIVES_WITHIN_S, meanwhile=list)
    mended: dict[str, float] = {}
    # What was broken last is mended first: the others may need it.
    for each in reversed(incidents):
        each.mend(live)
        mended[each.alert] = time.monotonic()

    def go_on() -> None:
        for each in incidents:
            each.again(live)

    resolved = _wait(receiver, incidents, mended, firing=False, within=RESOLVES_WITHIN_S, meanwhile=go_on)
    return [
        f"{each.what}: {each.alert}, {arrived[each.alert] - happened[each.alert]:.0f} s,"
        f" {resolved[each.alert] - mended[each.alert]:.0f} s"
        for each in incidents
    ]


def _wait(
    receiver: Receiver,
    incidents: Sequence[Incident],
    since: dict[str, float],
    *,
    firing: bool,
    within: float,
    meanwhile: Callable[[], object],
) -> dict[str, float]:
    """Wait until the receiver was told of each. Return when. Raises CheckFailed with what did not come."""
    deadline, again_at = time.monotonic() + within, time.monotonic()
    while True:
        told = {
            each.alert: receiver.first(each.alert, firing=firing, since=since[each.alert])
            for each in incidents
        }
        came = {alert: at for alert, at in told.items() if at is not None}
        if len(came) == len(incidents):
            return came
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(told.keys() - came.keys()))
            others = ", ".join(sorted({each.alert for each in receiver.told})) or "of nothing"
            what = "was not told of" if firing else "was not told of the end of"
            raise CheckFailed(f"the receiver {what} {missing} within {within:.0f} s; it was told of {others}")
        if time.monotonic() >= again_at:
            meanwhile()
            again_at = time.monotonic() + AGAIN_AFTER_S
        time.sleep(0.5)


def _wait_until_quiet(prometheus: Prometheus) -> None:
    """Wait until nothing fires: an alert that fires on a healthy system would be one too many."""
    deadline = time.monotonic() + QUIET_WITHIN_S
    while firing := prometheus.firing() - {ALWAYS_FIRING}:
        if time.monotonic() > deadline:
            raise CheckFailed(f"on a healthy system these fire: {', '.join(sorted(firing))}")
        time.sleep(1)


CHECKS: Final[tuple[Check, ...]] = (
    Check(
        name="signals-incidents",
        proves="four incidents arrive at the receiver and resolve, through the committed rules and routes",
        run=check_incidents,
        faults=(
            Fault(
                "zanari_api/reconciliation/facts.py",
                "        books_broken=counted[BreakKind.BOOKS_BROKEN],\n",
                "        books_broken=0,\n",
                "was not told of LedgerImbalance",
            ),
            Fault(
                "alerts/alertmanager.yml",
                """, 'area="money"']\n      receiver: page\n""",
                """, 'area="money"']\n      receiver: ticket\n""",
                "was not told of LedgerImbalance",
            ),
            Fault(
                "alerts/alertmanager.yml",
                "      - url: http://relay:8080/page\n        send_resolved: true\n",
                "      - url: http://relay:8080/page\n        send_resolved: false\n",
                "was not told of the end of",
            ),
        ),
        needs=needed("prometheus", "prometheus-alertmanager", "prometheus-postgres-exporter"),
    ),
)
