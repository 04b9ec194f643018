"""What is looked at: plain values and the parts that could be made of them. Read from settings by the command."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from zanari_api.daraja.client import DarajaClient
from zanari_api.kit.clock import Clock
from zanari_api.runtime.crypto import Keyring
from zanari_api.runtime.db import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Supabase:
    """Where Supabase answers, and the keys it is asked with; None for what is not set."""

    url: str | None
    jwks_url: str | None
    service_key: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    management_url: str = "https://api.supabase.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Safaricom:
    """How Safaricom is reached and how it reaches us. `client` is None where it could not be made."""

    client: DarajaClient | None
    base_url: str
    callback_base_url: str | None
    is_production: bool
    certificate: str | None
    initiator_password_set_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Everything that is looked at. A part that could not be made is None: its lines say so."""

    environment: str
    clock: Clock
    problems: Sequence[str]
    "why the service would not start with these variables"

    unfit_for_production: Sequence[str]
    "variables that only a rehearsal may have so"

    database: Database | None
    pool_max: int
    keyring: Keyring | None
    webhook_keys: int
    "how many keys may sign the webhook"

    supabase: Supabase
    safaricom: Safaricom
    sms_gateway_url: str | None
