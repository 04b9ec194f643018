"""Every check, in the order in which they run: quick ones first."""

from typing import Final

from checks import (
    books,
    container,
    distance,
    doctoring,
    environments,
    lints,
    pooler,
    rules,
    signals,
    supabase_config,
    tls,
)
from checks.check import Check

CHECKS: Final[tuple[Check, ...]] = (
    *lints.CHECKS,
    *rules.CHECKS,
    *supabase_config.CHECKS,
    *environments.CHECKS,
    *doctoring.CHECKS,
    *books.CHECKS,
    *container.CHECKS,
    *pooler.CHECKS,
    *tls.CHECKS,
    *signals.CHECKS,
    *distance.CHECKS,
)
