"""Turns the facts of a committed transaction into metrics. Decides nothing, and counts nothing twice.

Which metrics start at 0 before anything is counted, `zeroes` says.
"""

from collections.abc import Callable, Sequence

from zanari_api.runtime.db import Fact
from zanari_api.runtime.metrics import Metrics


def counting(metrics: Metrics) -> Callable[[Sequence[Fact]], None]:
    """Return what turns the facts of a committed transaction into metrics."""

    def count(facts: Sequence[Fact]) -> None:
        for fact in facts:
            match fact.name:
                case "spend":
                    metrics.spends.labels(*fact.labels).inc(fact.value)
                case "intent":
                    metrics.intents.labels(*fact.labels).inc(fact.value)
                case "payout":
                    metrics.payouts.labels(*fact.labels).inc(fact.value)
                case "collection":
                    metrics.collections.labels(*fact.labels).inc(fact.value)
                case "ledger_post":
                    metrics.ledger_posts.labels(*fact.labels).inc(fact.value)
                case "transaction":
                    metrics.observe_transaction(fact.labels[0], fact.value)
                case _:
                    raise ValueError(f"no metric counts {fact.name}")

    return count
