"""Every check, in the order in which they run: quick ones first."""

from typing import Final

from checks import supabase_config
from checks.check import Check

CHECKS: Final[tuple[Check, ...]] = (*supabase_config.CHECKS,)
