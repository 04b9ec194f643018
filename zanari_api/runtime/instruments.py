"""Declares every metric of the service, on a registry of its own. Never puts a saver's id or number in a label."""

import math
from collections.abc import Iterable
from itertools import product
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

DURATION_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
DARAJA_BUCKETS_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 40)
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
AMOUNT_BUCKETS_KES: Final = (10, 50, 100, 500, 1000, 5000, 10_000, 25_000, 50_000, 100_000, 150_000, 250_000)

TRANSACTION_TYPES: Final = ("spend", "deposit", "allocation", "goal_withdrawal", "payout")
WEBHOOK_OUTCOMES: Final = (
    "processed",
    "duplicate",
    "unmatched",
    "ignored",
    "invalid_signature",
    "malformed",
    "not_configured",
)
CREDENTIAL_KINDS: Final = ("access_token", "signature", "callback_token")
LIMITS: Final = ("address", "saver", "pin")


class Instruments:
    """The metrics of one application.

    A counter whose labels are known starts at 0: `increase()` cannot see one that is born at 1.
    A fact of the database is exposed by no process before it was read there: a 0 that nobody read is a false one.
    """

    def __init__(self) -> None:
        # Without this each counter is exposed a second time as a gauge of its birthday.
        prometheus_client.disable_created_metrics()
        self.registry = CollectorRegistry()
        self._facts: list[Gauge] = []
        ProcessCollector(registry=self.registry)
        self._declare_http()
        self._declare_product()
        self._declare_refusals()
        self._declare_resources()
        self._declare_work()
        self._declare_books()
        self._declare_daraja()
        self._declare_payouts()

    def _declare_http(self) -> None:
        labels = ("method", "route", "status_code")
        self._http_requests = Counter(
            "http_requests_total", "Requests answered.", labels, registry=self.registry
        )
        self._http_duration = Histogram(
            "http_request_duration_seconds",
            "Time from the request's first byte to the answer's last.",
            labels,
            buckets=DURATION_BUCKETS_S,
            registry=self.registry,
        )

    def _declare_product(self) -> None:
        self.active_users = Gauge(
            "active_users",
            "Savers with an authenticated request in the last 15 minutes, over all replicas.",
            registry=self.registry,
        )
        # Not 0: until the database was asked once, the number is not known.
        self.active_users.set(math.nan)
        self._transaction_amount = Histogram(
            "transaction_amount_kes",
            "Amounts of feed rows, in shillings.",
            ("type",),
            buckets=AMOUNT_BUCKETS_KES,
            registry=self.registry,
        )
        for kind in TRANSACTION_TYPES:
            self._transaction_amount.labels(kind)
        self.spends = self._counter("zanari_spends_total", "Spends decided.", "outcome", "reason")
        self.intents = self._counter(
            "zanari_intents_total", "Payments asked for by STK push, by step taken.", "purpose", "state"
        )
        self.collections = self._counter("zanari_collections_total", "Collections, by step taken.", "state")
        self.webhook_requests = self._counter(
            "zanari_webhook_requests_total", "Signed webhook requests.", "outcome"
        )
        self.webhook_batch_size = Histogram(
            "zanari_webhook_batch_size",
            "Signed spends that were committed together.",
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self.webhook_queue_length = self._gauge(
            "zanari_webhook_queue_length", "Signed spends that wait for the batch after the one that runs."
        )
        self.ledger_posts = self._counter(
            "zanari_ledger_posts_total", "Transfers given to the ledger.", "kind", "outcome"
        )
        self.callbacks = self._counter("zanari_callbacks_total", "M-PESA callbacks.", "kind", "outcome")
        self.callback_sources_refused = self._counter(
            "zanari_callbacks_source_refused_total",
            "Callbacks with a valid token from an address that is not listed.",
            "flow",
            "mode",
        )
        self.recovered_payments = self._counter(
            "zanari_recovered_payments_total", "Payments whose confirmation never came, found by a pull."
        )
        self.start_at_zero(self.webhook_requests, WEBHOOK_OUTCOMES)

    def _declare_refusals(self) -> None:
        self.refusals = self._counter("zanari_refusals_total", "Requests refused, by problem code.", "code")
        self.unavailable = self._counter(
            "zanari_unavailable_total", "Requests that could not be served now, by problem code.", "code"
        )
        self.credentials_refused = self._counter(
            "zanari_credentials_refused_total", "Tokens and signatures that were not valid.", "kind"
        )
        self.rate_limited = self._counter("zanari_rate_limited_total", "Requests over a rate limit.", "limit")
        self.rate_limit_store_failures = self._counter(
            "zanari_rate_limit_store_failures_total", "Requests let through because the counters were away."
        )
        self.start_at_zero(self.credentials_refused, CREDENTIAL_KINDS)
        self.start_at_zero(self.rate_limited, LIMITS)

    def _declare_resources(self) -> None:
        self.reruns = self._counter(
            "zanari_unit_of_work_reruns_total",
            "Units of work run again after a deadlock or serialisation failure.",
        )
        self._connections_in_use = Gauge(
            "zanari_db_connections_in_use", "Pooled database connections in use.", registry=self.registry
        )
        self._connections_max = Gauge(
            "zanari_db_connections_max", "Pooled database connections at most.", registry=self.registry
        )
        self._connections_waiting = self._gauge(
            "zanari_db_connections_waiting", "What waits for a pooled database connection."
        )
        self._build_info = self._gauge(
            "zanari_build_info", "Always 1; its labels say what runs here.", "version", "process"
        )
        self.certificate_expiry = self._gauge(
            "zanari_certificate_expiry_timestamp_seconds", "When a certificate expires.", "certificate"
        )
        self.key_expiry = self._gauge(
            "zanari_key_expiry_timestamp_seconds", "When a secret expires; 0 where nobody said.", "key"
        )
        self.facts_collected = Gauge(
            "zanari_facts_collected_timestamp_seconds",
            "When the facts that come from the database were last read from it.",
            registry=self.registry,
        )

    def _declare_books(self) -> None:
        self.float_break_cents = self._fact(
            "zanari_float_break_cents", "What Safaricom has more than our books.", "shortcode", "account"
        )
        self.breaks_open = self._fact("zanari_breaks_open", "Differences that are named and open.", "kind")
        self.break_oldest_age = self._fact("zanari_break_oldest_age_seconds", "Age of the oldest open break.")
        self.ledger_imbalance = self._fact(
            "zanari_ledger_imbalance", "Promises of the books that the last check found broken."
        )
        self.books_checked = self._fact(
            "zanari_books_checked_timestamp_seconds", "When the check of the books last came to its end."
        )
        self.chain_length = self._fact("zanari_chain_length", "Rows of the books that the chain has sealed.")
        self.chain_unsealed_rows = self._fact(
            "zanari_chain_unsealed_rows", "Rows that the chain has not sealed yet."
        )
        self.chain_unsealed_age = self._fact(
            "zanari_chain_unsealed_age_seconds", "How long the oldest row that has no seal yet is written."
        )
        self.chain_verified = self._fact(
            "zanari_chain_verified_timestamp_seconds", "When the chain was last verified to its end."
        )
        self.chain_broken = self._fact(
            "zanari_chain_broken", "1 where the last verification found a row that is not what was sealed."
        )
        self.suspense_cents = self._fact("zanari_suspense_cents", "Money that nobody could be matched to.")
        self.suspense_oldest_age = self._fact(
            "zanari_suspense_oldest_age_seconds", "Age of the oldest money in suspense."
        )
        self.fees_not_covered_cents = self._fact(
            "zanari_fees_not_covered_cents", "By how much M-PESA's fees exceed the company's funding."
        )
        self.collections_open = self._fact("zanari_collections_open", "Collections that have not ended.")
        self.collection_oldest_age = self._fact(
            "zanari_collection_oldest_age_seconds", "Age of the oldest collection that has not ended."
        )

    def _declare_work(self) -> None:
        self.job_runs = self._counter("zanari_job_runs_total", "Rows that a job worked on.", "job", "outcome")
        self.schedule_runs = self._counter(
            "zanari_schedule_runs_total", "Runs of a schedule.", "schedule", "outcome"
        )
        self._jobs_due = self._fact("zanari_jobs_due", "Rows that a job has to work on now.", "job")
        self._jobs_dead = self._fact("zanari_jobs_dead", "Rows that a job has given up.", "job")
        self._job_lag = self._fact(
            "zanari_job_lag_seconds", "How long the row that was due first has waited.", "job"
        )
        self.callbacks_quarantined = self._fact(
            "zanari_callbacks_quarantined", "Callbacks that wait for a person to look at them.", "kind"
        )
        self.pulled_until = self._fact(
            "zanari_pulled_until_timestamp_seconds",
            "Until when every payment that Safaricom lists is known.",
            "shortcode",
        )
        self.notices_waiting = self._fact(
            "zanari_notices_waiting", "Old numbers that are still to be told of a change."
        )
        self.notice_oldest_age = self._fact(
            "zanari_notice_oldest_age_seconds",
            "How long the change was ago that the oldest of those is about.",
        )
        self.late_schedules = self._fact(
            "zanari_schedules_late", "Schedules that were due a minute ago and that nobody runs."
        )

    def _declare_daraja(self) -> None:
        self.daraja_calls = self._counter(
            "zanari_daraja_calls_total", "Calls to Safaricom.", "operation", "outcome"
        )
        self.daraja_call_seconds = Histogram(
            "zanari_daraja_call_seconds",
            "Time a call to Safaricom took, its wait for a turn included.",
            ("operation",),
            buckets=DARAJA_BUCKETS_S,
            registry=self.registry,
        )
        self.daraja_breaker_open = self._gauge(
            "zanari_daraja_breaker_open",
            "1 while calls of this group are not sent, since the last ones failed.",
            "operation_group",
        )
        self.daraja_limiter_waits = self._counter(
            "zanari_daraja_limiter_waits_total", "Calls that waited for their turn.", "operation"
        )

    def _declare_payouts(self) -> None:
        self.payouts = self._counter("zanari_payouts_total", "Payouts, by step taken.", "state")
        self.payouts_open = self._fact("zanari_payouts_open", "Payouts that have not ended.", "state")
        self.payouts_open_cents = self._fact(
            "zanari_payouts_open_cents", "What payouts that have not ended come to.", "state"
        )
        self.payout_unknown_age = self._fact(
            "zanari_payout_unknown_age_seconds",
            "How long the outcome of the oldest payout in doubt is unknown.",
        )

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, labels, registry=self.registry)

    def _fact(self, name: str, documentation: str, *labels: str) -> Gauge:
        """Declare what a worker reads from the database; nobody exposes it before `show_facts`."""
        fact = Gauge(name, documentation, labels, registry=None)
        self._facts.append(fact)
        return fact

    def show_facts(self) -> None:
        """Expose the facts of the database from now on: they were read from it. Safe to repeat."""
        while self._facts:
            self.registry.register(self._facts.pop(0))

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    @staticmethod
    def start_at_zero(counter: Counter, *values: Iterable[str]) -> None:
        """Expose `counter` at 0 for each combination of label values, one iterable per label."""
        for labels in product(*values):
            counter.labels(*labels)
