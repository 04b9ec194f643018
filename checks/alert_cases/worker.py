"""The cases of the alerts on the worker: its jobs, its schedules, and the facts that it tells."""

from typing import Final

from checks.alert_cases.case import Case, case, counts, gone, levels, stamps

WORKER: Final = 'job="zanari-worker"'
UP: Final = f'up{{{WORKER},instance="worker:8001"}}'
FACTS: Final = "zanari_facts_collected_timestamp_seconds{" + 'job="%s",instance="%s"}'
LAG: Final = "zanari_job_lag_seconds{" + WORKER + ',exported_job="%s"}'
DEAD: Final = "zanari_jobs_dead{" + WORKER + ',instance="%s",exported_job="prompts"}'
RUNS: Final = "zanari_job_runs_total{" + WORKER + ',exported_job="prompts",outcome="%s"}'
SCHEDULE_RUNS: Final = "zanari_schedule_runs_total{" + WORKER + ',schedule="pull",outcome="%s"}'
LATE: Final = f"zanari_schedules_late{{{WORKER}}}"

NO_WORKER: Final = (
    "No target of zanari-worker has been scraped for a minute. Prompts, payouts and the check of the books wait, and"
    " nobody tells of the books."
)
MISSING: Final = (
    "A series of the books or of the work has been missing for five minutes, though a worker may answer: no alert on"
    " it can fire. The runbook says how to find which."
)
STALE: Final = "The worker at a last read it 4m 0s ago: what it tells of money and work is the past."
GAUGES: Final = (
    "zanari_ledger_imbalance",
    "zanari_books_checked_timestamp_seconds",
    "zanari_chain_broken",
    "zanari_chain_verified_timestamp_seconds",
    "zanari_chain_unsealed_age_seconds",
    "zanari_break_oldest_age_seconds",
    "zanari_fees_not_covered_cents",
    "zanari_suspense_oldest_age_seconds",
    "zanari_recovered_payments_total",
    "zanari_payout_unknown_age_seconds",
    "zanari_collections_open",
    "zanari_collection_oldest_age_seconds",
    "zanari_schedules_late",
    "zanari_notice_oldest_age_seconds",
)
PRESENT: Final = {
    FACTS % ("zanari-worker", "a"): stamps((60, True)),
    **{f"{name}{{{WORKER}}}": levels((60, 0)) for name in GAUGES},
    f'zanari_callbacks_quarantined{{{WORKER},kind="stk"}}': levels((60, 0)),
    f'zanari_payouts_open{{{WORKER},state="queued"}}': levels((60, 0)),
    LAG % "callbacks": levels((60, 0)),
    DEAD % "a": levels((60, 0)),
    RUNS % "failed": levels((60, 0)),
    SCHEDULE_RUNS % "failed": levels((60, 0)),
}
"""What alerts on the worker read; a case takes one away."""


def missing(name: str) -> Case:
    """Return the case in which one fact is gone for twenty minutes, while all others are there."""
    lagging = {"exported_job": "callbacks"} if "lag" in name else {}
    return case(
        f"WorkerSignalsMissing: {name.partition('{')[0]} vanishes while the worker answers",
        "page",
        PRESENT | {name: (*levels((20, 0)), *gone(20), *levels((20, 0)))},
        quiet=(5, 19, 24, 45),
        fires={30: MISSING},
        labels={"job": "zanari-worker"} | lagging,
    )


CASES: Final[tuple[Case, ...]] = (
    case(
        "WorkerDown: its only target stops answering",
        "page",
        {UP: levels((10, 1), (10, 0), (10, 1))},
        quiet=(9, 10, 20),
        fires={11: NO_WORKER, 19: NO_WORKER},
    ),
    case(
        "WorkerDown: its targets are no longer known at all",
        "page",
        {UP: (*levels((10, 1)), *gone(10), *levels((10, 1)))},
        quiet=(9, 20),
        fires={11: NO_WORKER},
    ),
    case(
        "WorkerDown: one of two answers",
        "page",
        {UP: levels((30, 1)), UP.replace("8001", "8002"): levels((30, 0))},
        quiet=(5, 29),
    ),
    case(
        "FactsStale: two minutes, then older, then read again; an API that reads its own hides nothing",
        "page",
        {
            FACTS % ("zanari-worker", "a"): stamps((10, True), (10, False), (10, True)),
            FACTS % ("zanari-api", "b"): stamps((30, True)),
        },
        quiet=(9, 11, 12, 20),
        fires={13: STALE},
        labels={"instance": "a"},
    ),
    case(
        "FactsStale: one of two workers hangs, the other reads on; then it is gone",
        "page",
        {
            FACTS % ("zanari-worker", "a"): (*stamps((10, True), (10, False)), *gone(10)),
            FACTS % ("zanari-worker", "b"): stamps((30, True)),
        },
        quiet=(9, 12, 20),
        fires={13: STALE},
        labels={"instance": "a"},
    ),
    *(missing(name) for name in PRESENT),
    case(
        "JobLag: ten minutes, then longer, then it is done",
        "ticket",
        {LAG % "prompts": levels((20, 600), (20, 660), (10, 0)), LAG % "callbacks": levels((50, 999))},
        quiet=(19, 24, 40),
        fires={25: "The first row of prompts has waited for 11m 0s."},
        labels={"exported_job": "prompts"},
    ),
    case(
        "JobFailing: five in a quarter of an hour, then more, then none",
        "ticket",
        {
            RUNS % "failed": (
                *levels((20, 0)),
                *counts((6, 1)),
                *levels((24, 5)),
                *counts((20, 1), (30, 0), start=5),
            ),
            RUNS % "postponed": counts((100, 9)),
        },
        quiet=(25, 30, 95),
        fires={69: "About 15 rows of prompts failed in 15 minutes."},
        labels={"exported_job": "prompts"},
    ),
    case(
        "DeadJobs: two workers tell of the same row",
        "ticket",
        {DEAD % "a": levels((10, 0), (10, 1), (10, 0)), DEAD % "b": levels((10, 0), (10, 1), (10, 0))},
        quiet=(9, 14, 20),
        fires={15: "Rows of prompts that wait for a person: 1."},
        labels={"exported_job": "prompts"},
    ),
    case(
        "ScheduleLate: for longer than five minutes",
        "page",
        {LATE: levels((10, 0), (10, 1), (10, 0))},
        quiet=(9, 14, 20),
        fires={15: "Schedules that are due and that nobody runs: 1."},
    ),
    case(
        "ScheduleFailing: three times in a quarter of an hour, then more, then not",
        "ticket",
        {
            SCHEDULE_RUNS % "failed": (
                *levels((20, 0)),
                *counts((4, 1)),
                *levels((26, 3)),
                *counts((20, 1), (30, 0), start=3),
            ),
            SCHEDULE_RUNS % "done": counts((100, 1)),
        },
        quiet=(23, 30, 95),
        fires={69: "pull failed about 15 times in 15 minutes."},
        labels={"schedule": "pull"},
    ),
    case(
        "NoticesWaiting: an hour, then longer, then they are sent",
        "ticket",
        {f"zanari_notice_oldest_age_seconds{{{WORKER}}}": levels((20, 3600), (20, 3660), (10, 0))},
        quiet=(19, 29, 40),
        fires={30: "The oldest notice has waited for 1h 1m 0s."},
    ),
)
