"""Writes alerts/dashboards/ from the tables here. Run it after a change, and import what it wrote into Grafana."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "alerts/dashboards"
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="prometheus")
HEIGHT: Final = 8
HALF: Final = 12
"""Of the 24 columns that Grafana has."""

SECONDS: Final = "s"
SHARE: Final = "percentunit"
EACH_SECOND: Final = "reqps"
SHILLINGS: Final = "currencyKES"
BYTES: Final = "bytes"
COUNT: Final = "short"

API: Final = 'job="zanari-api"'
WORKER: Final = 'job="zanari-worker"'
REQUESTS: Final = f'{API},route=~"/(api|callbacks)/.*"'
CALLS: Final = f'{API},route=~"/api/.*"'


@dataclass(frozen=True, slots=True)
class Graph:
    """One graph: what it is called, its unit, and its lines, each by its legend."""

    title: str
    unit: str
    lines: Mapping[str, str]


def latest(name: str, *by: str) -> str:
    """Ask for a fact of the database: each worker tells the same one, so it is taken once and never summed."""
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"max{grouped} ({name}{{{WORKER}}})"


def rate(name: str, *by: str, matching: str = "") -> str:
    """Ask how often something is counted each second, over all processes."""
    return f"sum by ({', '.join(by)}) (rate({name}{{{matching}}}[$__rate_interval]))"


def quantile(share: float, name: str, *by: str, matching: str = "") -> str:
    """Ask below what so large a share of the times lies."""
    grouped = ", ".join(("le", *by))
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({name}_bucket{{{matching}}}[$__rate_interval])))"


SERVICE: Final = (
    Graph("Processes that are scraped", COUNT, {"{{job}} {{colour}}": "sum by (job, colour) (up)"}),
    Graph(
        "What runs",
        COUNT,
        {"{{process}} {{exported_version}}": "count by (process, exported_version) (zanari_build_info)"},
    ),
    Graph(
        "Requests by status",
        EACH_SECOND,
        {"{{status_code}}": rate("http_requests_total", "status_code", matching=API)},
    ),
    Graph(
        "Share that fails",
        SHARE,
        {
            "five minutes": "zanari:requests_failed:ratio_rate5m",
            "an hour": "zanari:requests_failed:ratio_rate1h",
            "three days": "zanari:requests_failed:ratio_rate3d",
        },
    ),
    Graph(
        "How long requests take",
        SECONDS,
        {
            "half": quantile(0.5, "http_request_duration_seconds", matching=CALLS),
            "95 %": quantile(0.95, "http_request_duration_seconds", matching=CALLS),
            "99 %": quantile(0.99, "http_request_duration_seconds", matching=CALLS),
        },
    ),
    Graph(
        "Share that takes 500 ms or longer",
        SHARE,
        {
            "five minutes": "zanari:requests_slow:ratio_rate5m",
            "an hour": "zanari:requests_slow:ratio_rate1h",
        },
    ),
    Graph(
        "Slowest routes, 95 %",
        SECONDS,
        {
            "{{route}}": f"topk(8, {quantile(0.95, 'http_request_duration_seconds', 'route', matching=REQUESTS)})"
        },
    ),
    Graph("Savers of the last quarter of an hour", COUNT, {"savers": f"max(active_users{{{API}}})"}),
    Graph(
        "Signed webhook",
        EACH_SECOND,
        {"{{outcome}}": rate("zanari_webhook_requests_total", "outcome", matching=API)},
    ),
    Graph("Spends that wait", COUNT, {"{{instance}}": f"zanari_webhook_queue_length{{{API}}}"}),
    Graph(
        "Spends in a commit, half", COUNT, {"half": quantile(0.5, "zanari_webhook_batch_size", matching=API)}
    ),
    Graph("Answered 503", EACH_SECOND, {"{{code}}": rate("zanari_unavailable_total", "code", matching=API)}),
    Graph("Refused", EACH_SECOND, {"{{code}}": rate("zanari_refusals_total", "code", matching=API)}),
    Graph(
        "Credentials and limits",
        EACH_SECOND,
        {
            "{{kind}}": rate("zanari_credentials_refused_total", "kind", matching=API),
            "over the limit of each {{limit}}": rate("zanari_rate_limited_total", "limit", matching=API),
        },
    ),
    Graph(
        "Memory",
        BYTES,
        {"{{job}} {{instance}}": 'process_resident_memory_bytes{job=~"zanari-api|zanari-worker"}'},
    ),
    Graph(
        "Processor",
        SHARE,
        {
            "{{job}} {{instance}}": (
                'rate(process_cpu_seconds_total{job=~"zanari-api|zanari-worker"}[$__rate_interval])'
            )
        },
    ),
    Graph(
        "What expires",
        SECONDS,
        {
            "{{certificate}}": "min by (certificate) (zanari_certificate_expiry_timestamp_seconds) - time()",
            "{{key}}": "min by (key) (zanari_key_expiry_timestamp_seconds) - time()",
        },
    ),
)

MPESA: Final = (
    Graph(
        "Calls to Safaricom",
        EACH_SECOND,
        {"{{operation}} {{outcome}}": rate("zanari_daraja_calls_total", "operation", "outcome")},
    ),
    Graph(
        "How long they take, 95 %",
        SECONDS,
        {"{{operation}}": quantile(0.95, "zanari_daraja_call_seconds", "operation")},
    ),
    Graph(
        "Held back", COUNT, {"{{operation_group}}": "max by (operation_group) (zanari_daraja_breaker_open)"}
    ),
    Graph(
        "Wait for their turn",
        EACH_SECOND,
        {"{{operation}}": rate("zanari_daraja_limiter_waits_total", "operation")},
    ),
    Graph(
        "Callbacks",
        EACH_SECOND,
        {"{{kind}} {{outcome}}": rate("zanari_callbacks_total", "kind", "outcome", matching=API)},
    ),
    Graph(
        "Callbacks from elsewhere",
        EACH_SECOND,
        {"{{flow}} {{mode}}": rate("zanari_callbacks_source_refused_total", "flow", "mode", matching=API)},
    ),
    Graph("Callbacks in quarantine", COUNT, {"{{kind}}": latest("zanari_callbacks_quarantined", "kind")}),
    Graph(
        "Inbox",
        SECONDS,
        {"oldest waits": f'max(zanari_job_lag_seconds{{{WORKER},exported_job="callbacks"}})'},
    ),
    Graph(
        "Payments asked for",
        EACH_SECOND,
        {"{{purpose}} {{state}}": rate("zanari_intents_total", "purpose", "state")},
    ),
    Graph("Collections, by step", EACH_SECOND, {"{{state}}": rate("zanari_collections_total", "state")}),
    Graph("Collections that are open", COUNT, {"open": latest("zanari_collections_open")}),
    Graph("Oldest collection", SECONDS, {"age": latest("zanari_collection_oldest_age_seconds")}),
    Graph("Payouts, by step", EACH_SECOND, {"{{state}}": rate("zanari_payouts_total", "state")}),
    Graph("Payouts that are open", COUNT, {"{{state}}": latest("zanari_payouts_open", "state")}),
    Graph("Oldest payout in doubt", SECONDS, {"age": latest("zanari_payout_unknown_age_seconds")}),
    Graph(
        "Pulled until",
        SECONDS,
        {
            "{{shortcode}}": (
                f"time() - min by (shortcode) (zanari_pulled_until_timestamp_seconds{{{WORKER}}})"
            )
        },
    ),
)

MONEY: Final = (
    Graph("Broken promises of the books", COUNT, {"broken": latest("zanari_ledger_imbalance")}),
    Graph(
        "Age of what is known",
        SECONDS,
        {
            "books checked": f"time() - {latest('zanari_books_checked_timestamp_seconds')}",
            "chain verified": f"time() - {latest('zanari_chain_verified_timestamp_seconds')}",
            "facts read": f"time() - {latest('zanari_facts_collected_timestamp_seconds')}",
        },
    ),
    Graph(
        "Float: Safaricom has more",
        SHILLINGS,
        {
            "{{shortcode}}:{{account}}": f"{latest('zanari_float_break_cents', 'shortcode', 'account')} / 100",
        },
    ),
    Graph("Open breaks", COUNT, {"{{kind}}": latest("zanari_breaks_open", "kind")}),
    Graph("Oldest break", SECONDS, {"age": latest("zanari_break_oldest_age_seconds")}),
    Graph("In suspense", SHILLINGS, {"in suspense": f"{latest('zanari_suspense_cents')} / 100"}),
    Graph("Oldest money in suspense", SECONDS, {"age": latest("zanari_suspense_oldest_age_seconds")}),
    Graph("Fees not covered", SHILLINGS, {"missing": f"{latest('zanari_fees_not_covered_cents')} / 100"}),
    Graph("In flight", SHILLINGS, {"{{state}}": f"{latest('zanari_payouts_open_cents', 'state')} / 100"}),
    Graph(
        "Transfers",
        EACH_SECOND,
        {"{{kind}} {{outcome}}": rate("zanari_ledger_posts_total", "kind", "outcome")},
    ),
    Graph(
        "Amounts in the feed, half", SHILLINGS, {"{{type}}": quantile(0.5, "transaction_amount_kes", "type")}
    ),
    Graph(
        "Spends", EACH_SECOND, {"{{outcome}} {{reason}}": rate("zanari_spends_total", "outcome", "reason")}
    ),
    Graph(
        "Payments that a pull found",
        EACH_SECOND,
        {"found": "sum(rate(zanari_recovered_payments_total[$__rate_interval]))"},
    ),
    Graph(
        "Chain",
        COUNT,
        {"sealed": latest("zanari_chain_length"), "not sealed": latest("zanari_chain_unsealed_rows")},
    ),
    Graph("Oldest row without a seal", SECONDS, {"age": latest("zanari_chain_unsealed_age_seconds")}),
    Graph("Chain is broken", COUNT, {"broken": latest("zanari_chain_broken")}),
)

DATABASE: Final = (
    Graph("Postgres answers", COUNT, {"{{instance}}": "pg_up"}),
    Graph(
        "Connections, of those that may be used",
        SHARE,
        {
            "{{server}}": (
                "sum by (instance, server) (pg_stat_database_numbackends) / on (instance, server)"
                " (pg_settings_max_connections - pg_settings_superuser_reserved_connections)"
            )
        },
    ),
    Graph("Sessions", COUNT, {"{{state}}": "sum by (state) (pg_stat_activity_count)"}),
    Graph(
        "Longest transaction",
        SECONDS,
        {"{{datname}} {{state}}": "max by (datname, state) (pg_stat_activity_max_tx_duration)"},
    ),
    Graph(
        "Pools: in use",
        SHARE,
        {"{{job}} {{instance}}": "zanari_db_connections_in_use / zanari_db_connections_max"},
    ),
    Graph("Pools: wait", COUNT, {"{{job}} {{instance}}": "zanari_db_connections_waiting"}),
    Graph(
        "Transactions",
        EACH_SECOND,
        {
            "{{datname}} committed": "sum by (datname) (rate(pg_stat_database_xact_commit[$__rate_interval]))",
            "{{datname}} rolled back": "sum by (datname) (rate(pg_stat_database_xact_rollback[$__rate_interval]))",
        },
    ),
    Graph(
        "Run again after a clash",
        EACH_SECOND,
        {
            "units of work": "sum(rate(zanari_unit_of_work_reruns_total[$__rate_interval]))",
            "deadlocks": "sum(rate(pg_stat_database_deadlocks[$__rate_interval]))",
        },
    ),
    Graph("Locks", COUNT, {"{{mode}}": "sum by (mode) (pg_locks_count)"}),
    Graph("Size", BYTES, {"{{datname}}": "max by (datname) (pg_database_size_bytes)"}),
    Graph(
        "Read from memory",
        SHARE,
        {
            "{{datname}}": (
                "sum by (datname) (rate(pg_stat_database_blks_hit[$__rate_interval])) / (sum by (datname)"
                " (rate(pg_stat_database_blks_hit[$__rate_interval])) + sum by (datname)"
                " (rate(pg_stat_database_blks_read[$__rate_interval])))"
            )
        },
    ),
    Graph("Work that is due", COUNT, {"{{exported_job}}": latest("zanari_jobs_due", "exported_job")}),
    Graph(
        "Work that is late", SECONDS, {"{{exported_job}}": latest("zanari_job_lag_seconds", "exported_job")}
    ),
    Graph("Rows that were given up", COUNT, {"{{exported_job}}": latest("zanari_jobs_dead", "exported_job")}),
    Graph(
        "Runs of jobs",
        EACH_SECOND,
        {"{{exported_job}} {{outcome}}": rate("zanari_job_runs_total", "exported_job", "outcome")},
    ),
    Graph(
        "Runs of schedules",
        EACH_SECOND,
        {"{{schedule}} {{outcome}}": rate("zanari_schedule_runs_total", "schedule", "outcome")},
    ),
    Graph("Schedules that are late", COUNT, {"late": latest("zanari_schedules_late")}),
    Graph(
        "Notices that wait",
        COUNT,
        {"waiting": latest("zanari_notices_waiting")},
    ),
)

DASHBOARDS: Final[Mapping[str, tuple[str, Sequence[Graph]]]] = {
    "service": ("Zanari: service", SERVICE),
    "mpesa": ("Zanari: M-PESA", MPESA),
    "money": ("Zanari: money and books", MONEY),
    "database": ("Zanari: database and work", DATABASE),
}


def written() -> dict[str, str]:
    """Return the text of each dashboard, by the name of its file."""
    return {
        f"{name}.json": JSONEncoder(sort_keys=True, indent=2).encode(_dashboard(name, title, graphs)) + "\n"
        for name, (title, graphs) in DASHBOARDS.items()
    }


def _dashboard(name: str, title: str, graphs: Sequence[Graph]) -> object:
    built = (
        dashboard.Dashboard(title)
        .uid(f"zanari-{name}")
        .tags(["zanari"])
        .timezone("Africa/Nairobi")
        .refresh("30s")
        .time("now-6h", "now")
        .readonly()
    )
    for graph in graphs:
        built = built.with_panel(_panel(graph))
    return built.build()


def _panel(graph: Graph) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(graph.title)
        .unit(graph.unit)
        .datasource(SOURCE)
        .height(HEIGHT)
        .span(HALF)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
        )
    )
    for number, (legend, expression) in enumerate(graph.lines.items()):
        panel = panel.with_target(
            prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
        )
    return panel


def main() -> int:
    """Write what differs; with `--check` only say what does, and end with 1 where anything does."""
    only_check = sys.argv[1:] == ["--check"]
    FOLDER.mkdir(exist_ok=True)
    wanted = written()
    stale = [name for name, text in wanted.items() if _read(FOLDER / name) != text]
    strange = sorted({each.name for each in FOLDER.iterdir()} - wanted.keys())
    for name in stale:
        if not only_check:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        print(f"{'differs' if only_check else 'wrote'}: {FOLDER.relative_to(ROOT)}/{name}")
    for name in strange:
        print(f"nobody writes {FOLDER.relative_to(ROOT)}/{name}")
    return 1 if strange or (only_check and stale) else 0


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
