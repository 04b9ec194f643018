"""The cases of the alerts on Postgres and on the pools of connections to it."""

from typing import Final

from checks.alert_cases.case import Case, case, gone, levels

UP: Final = 'up{job="postgres",instance="exporter:9187"}'
EXPORTER: Final = 'job="postgres",instance="exporter:9187",server="db:5432"'
BACKENDS: Final = "pg_stat_database_numbackends{" + EXPORTER + ',datid="%s",datname="%s"}'
MAX: Final = f"pg_settings_max_connections{{{EXPORTER}}}"
RESERVED: Final = f"pg_settings_superuser_reserved_connections{{{EXPORTER}}}"
POOL: Final = "zanari_db_connections_%s{" + 'job="zanari-api",instance="api:8000"}'
HERE: Final = {"instance": "api:8000", "job": "zanari-api"}

UNSEEN: Final = "The exporter has not been scraped for five minutes, so alerts on the database cannot fire."
MISSING: Final = (
    "A series of Postgres that alerts read has been missing for five minutes: those alerts cannot fire."
)
PRESENT: Final = {
    'pg_up{job="postgres"}': levels((60, 1)),
    BACKENDS % (1, "zanari"): levels((60, 5)),
    MAX: levels((60, 100)),
    RESERVED: levels((60, 3)),
}


def missing(name: str) -> Case:
    """Return the case in which one series of the exporter is gone for twenty minutes, while all others are there."""
    return case(
        f"DatabaseSignalsMissing: {name.partition('{')[0]} vanishes while the exporter answers",
        "ticket",
        PRESENT | {name: (*levels((20, 1)), *gone(20), *levels((20, 1)))},
        quiet=(5, 19, 28, 45),
        fires={35: MISSING},
        labels={"job": "postgres"},
    )


CASES: Final[tuple[Case, ...]] = (
    case(
        "DatabaseDown: the exporter answers, and Postgres does not",
        "page",
        {'pg_up{job="postgres"}': levels((10, 1), (10, 0), (10, 1))},
        quiet=(9, 10, 20),
        fires={11: "The exporter cannot reach it. Nothing is acknowledged without it."},
    ),
    case(
        "DatabaseExporterDown: it stops answering",
        "ticket",
        {UP: levels((10, 1), (10, 0), (10, 1))},
        quiet=(9, 14, 20),
        fires={15: UNSEEN},
    ),
    case(
        "DatabaseExporterDown: it is no longer known at all",
        "ticket",
        {UP: (*levels((10, 1)), *gone(10), *levels((10, 1)))},
        quiet=(9, 14, 20),
        fires={15: UNSEEN},
    ),
    *(missing(name) for name in PRESENT),
    case(
        "DatabaseConnectionsHigh: 80 of the 100 that may be used, over all databases, then more, then few",
        "page",
        {
            BACKENDS % (1, "zanari"): levels((20, 70), (20, 82), (10, 5)),
            BACKENDS % (2, "template0"): levels((50, 0)),
            BACKENDS % (0, ""): levels((50, 10)),
            MAX: levels((50, 103)),
            RESERVED: levels((50, 3)),
        },
        quiet=(19, 24, 40),
        fires={25: "db:5432 uses 92% of the connections it allows."},
        labels={"instance": "exporter:9187", "server": "db:5432"},
    ),
    case(
        "PoolExhausted: one waits for longer than two minutes",
        "page",
        {
            POOL % "waiting": levels((10, 0), (10, 1), (10, 0)),
            (POOL % "waiting").replace("8000", "8001"): levels((30, 0)),
        },
        quiet=(9, 11, 20),
        fires={12: "1 wait at api:8000 of zanari-api; each gives up after 5 s."},
        labels=HERE,
    ),
    case(
        "PoolNearlyFull: nine of ten, then all, then few",
        "ticket",
        {POOL % "in_use": levels((20, 9), (20, 10), (10, 2)), POOL % "max": levels((50, 10))},
        quiet=(19, 29, 40),
        fires={30: "api:8000 of zanari-api uses 100% of its connections."},
        labels=HERE,
    ),
)
