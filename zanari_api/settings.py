"""Every variable the service reads, typed, with its meaning. Read once by main, worker and cli, and by nobody else."""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

TRANSACTION_POOLER_PORT: Final = 6543
"""Where Supabase's pooler lends connections for one transaction at a time."""


class Environment(StrEnum):
    """Where the service runs."""

    DEVELOPMENT = "development"
    "on a developer's machine: what is not set is made and kept under .zanari/"

    STAGING = "staging"
    "as production, with M-PESA's sandbox"

    PRODUCTION = "production"
    "with people's money"


class SettingsInvalid(Exception):  # noqa: N818 (reads as what it says)
    """Variables are missing or wrong. The text names them and says what they should be, never what they are."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


Text = TypeVar("Text", str | None, SecretStr | None)


def _url(*schemes: str) -> AfterValidator:
    """Refuse what is no URL of these schemes. The refusal never quotes it: a URL may hold a password."""

    def check(value: Text) -> Text:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        try:
            parts = urlsplit(text or "")
            # A password with / or # in it, not percent-encoded, moves the rest of the address: the port shows it.
            known = text is None or (parts.scheme in schemes and "://" in text and parts.port != 0)
        except ValueError:
            known = False
        if not known:
            raise ValueError(f"must be a {schemes[0]}:// address")
        return value

    return AfterValidator(check)


def _shortcodes(value: str | None) -> str | None:
    # A payment to a shortcode that is not ours credits nobody, so a slip of the pen must not look like one.
    if value is not None and not all(re.fullmatch(r"\s*[0-9]{5,9}\s*", each) for each in value.split(",")):
        raise ValueError("must be shortcodes of 5 to 9 digits")
    return value


List = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Optional = Annotated[str | None, BeforeValidator(_blank_is_unset)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_is_unset)]


class Settings(BaseSettings):
    """The service's variables. Lists are comma-separated; an empty value is as good as none.

    Secrets have no default. In development what is missing is made on first start and kept under .zanari/.
    """

    model_config = SettingsConfigDict(env_prefix="", case_sensitive=False, frozen=True, extra="ignore")

    environment: Environment = Environment.DEVELOPMENT
    """development, staging or production."""

    debug: bool = False
    """Answer an unexpected failure with its traceback. For development; production refuses to start with it."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least level that is logged; production refuses DEBUG."""

    app_version: str = "0.1.0"
    """The version in logs and at /health."""

    host: str = "127.0.0.1"
    """The address to listen on."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    """The port to listen on; 0 for any free one."""

    worker_port: Annotated[int, Field(ge=0, le=65_535)] = 8001
    """The port on which the worker serves its metrics and health; 0 for any free one."""

    database_url: Annotated[OptionalSecret, _url("postgresql", "postgres")] = None
    """Postgres, as the login zanari_service. Unset in development: an embedded Postgres under .zanari/."""

    database_migration_url: Annotated[OptionalSecret, _url("postgresql", "postgres")] = None
    """Postgres for `zanari migrate` alone, as the role that owns the schemas. Default: DATABASE_URL."""

    database_pooler: Annotated[bool | None, BeforeValidator(_blank_is_unset)] = None
    """Whether DATABASE_URL leads to a pooler that lends connections by transaction. Unset: where its port is 6543."""

    supabase_url: Annotated[Optional, _url("https", "http")] = None
    """The Supabase project, issuer of access tokens. Unset in development: an emulator of Supabase Auth."""

    supabase_anon_key: Annotated[
        OptionalSecret, Field(validation_alias=AliasChoices("SUPABASE_ANON_KEY", "SUPABASE_PUBLISHABLE_KEY"))
    ] = None
    """The project's publishable (anon) key, with which Supabase Auth is asked whether a session still stands."""

    supabase_service_key: Annotated[
        OptionalSecret, Field(validation_alias=AliasChoices("SUPABASE_SERVICE_KEY", "SUPABASE_SECRET_KEY"))
    ] = None
    """The project's secret (service role) key, with which `zanari doctor` looks at the buckets of Storage."""

    supabase_access_token: OptionalSecret = None
    """A personal token of Supabase's Management API, for `zanari doctor` alone: whether backups allow PITR."""

    supabase_jwt_secret: OptionalSecret = None
    """The legacy shared secret of HS256 tokens. Leave it unset where tokens are signed with ES256 or RS256."""

    pii_keys: OptionalSecret = None
    """Keys that wrap the keys of personal data: kid:base64 of 32 bytes, the active one first."""

    mpesa_shortcode: Annotated[Optional, AfterValidator(_shortcodes)] = None
    """The paybill that savers pay into. Several may be given; payments to any other are not ours."""

    mpesa_environment: Literal["sandbox", "production"] = "sandbox"
    """Which of Safaricom's environments Daraja calls go to."""

    mpesa_base_url: Annotated[Optional, _url("https", "http")] = None
    """Another host for Daraja calls than the environment's own: a proxy, or an emulator."""

    mpesa_consumer_key: OptionalSecret = None
    """The Daraja app's consumer key."""

    mpesa_consumer_secret: OptionalSecret = None
    """The Daraja app's consumer secret."""

    mpesa_passkey: OptionalSecret = None
    """The passkey of the first MPESA_SHORTCODE, which signs STK prompts."""

    mpesa_b2c_shortcode: Annotated[Optional, AfterValidator(_shortcodes)] = None
    """The shortcode that payouts are sent from."""

    mpesa_initiator_name: Optional = None
    """The API operator that payouts, reversals and balance queries are made as."""

    mpesa_initiator_password: OptionalSecret = None
    """The API operator's password; M-PESA lets it expire after 90 days."""

    mpesa_initiator_password_set_on: Annotated[date | None, BeforeValidator(_blank_is_unset)] = None
    """The day on which that password was set (2026-11-25), so that its expiry is seen coming. Unset: it is not."""

    mpesa_certificate: Optional = None
    """Safaricom's X.509 certificate (PEM text) of MPESA_ENVIRONMENT: the password is encrypted for it."""

    mpesa_callback_base_url: Annotated[Optional, _url("https", "http")] = None
    """Where Safaricom reaches this service; https in production, and without the words that Daraja refuses."""

    mpesa_ip_allowlist: List = ()
    """Addresses or networks that callbacks may come from. Unset: those that Safaricom publishes."""

    mpesa_ip_allowlist_enforced: Annotated[bool | None, BeforeValidator(_blank_is_unset)] = None
    """Refuse callbacks from elsewhere (403), or report them. Unset: refuse where MPESA_ENVIRONMENT is production."""

    mpesa_pull_method: Literal["GET", "POST"] = "GET"
    """The HTTP method of Daraja's pull query, which its documents and its users describe differently."""

    mpesa_pull_number: Optional = None
    """The phone number that Daraja's pull registration asks for. Unset: lost confirmations are not pulled."""

    mpesa_webhook_secret: OptionalSecret = None
    """Secrets that sign the round-up webhook; several while one is being replaced."""

    mpesa_webhook_public_key: Optional = None
    """An Ed25519 public key (PEM text) that may sign the round-up webhook instead."""

    mpesa_webhook_allow_untimed: bool = False
    """Accept a bare HMAC of the body, which can be replayed for ever."""

    mpesa_callback_tokens: OptionalSecret = None
    """Secret path tokens of callbacks, 32 or more lower-case hex digits each; flow:token for one flow."""

    sms_gateway_url: Annotated[Optional, _url("https", "http")] = None
    """Where text messages are posted. Unset in development: an emulator. Unset in staging: old numbers are not told."""

    sms_gateway_token: OptionalSecret = None
    """The bearer token that the text message gateway asks for."""

    redis_url: Annotated[OptionalSecret, _url("redis", "rediss")] = None
    """Redis for rate limits that all replicas share. Unset: each replica counts alone."""

    cors_origins: List = ()
    """Browser origins that may call the API."""

    ledger_head_file: Optional = None
    """A file that the worker writes the head of the chain to, out of reach of whoever has the database."""

    metrics_token: OptionalSecret = None
    """The bearer token that /metrics asks for. Unset: anyone who reaches the port may read it."""

    trusted_proxies: List = ()
    """Addresses or networks of proxies whose X-Forwarded-For is believed."""

    rate_limit_saver: Annotated[int, Field(ge=1)] = 600
    """Requests a minute for one saver."""

    rate_limit_address: Annotated[int, Field(ge=1)] = 6000
    """Requests a minute for one address; carriers put many savers behind one."""

    rate_limit_pin: Annotated[int, Field(ge=1)] = 10
    """Requests a minute for one saver on the PIN's routes."""

    collection_notice_s: Annotated[int, Field(ge=0, le=3600)] = 60
    """Seconds from the announcement of a collection to its prompt, in which its saver can skip it."""

    feature_rollup_enabled: Annotated[
        bool, Field(validation_alias=AliasChoices("FEATURE_ROLLUP_ENABLED", "FEATURE_ROUNDUP_ENABLED"))
    ] = True
    """Round-ups. While off, spends are recorded and skipped with the reason feature_disabled."""

    feature_goals_enabled: bool = True
    """The goals routes. While off they answer 403 feature_disabled."""

    @classmethod
    def load(cls) -> Self:
        """Read the environment. Raises SettingsInvalid, which names variables and never shows a value."""
        try:
            return cls()
        except ValidationError as invalid:
            problems = invalid.errors(include_url=False, include_input=False, include_context=False)
            raise SettingsInvalid(
                "; ".join(
                    f"{'.'.join(map(str, each['loc'])).upper()}: {each['msg'].removeprefix('Value error, ')}"
                    for each in problems
                )
            ) from None

    @property
    def behind_pooler(self) -> bool:
        """Tell whether each transaction may get another of the server's connections."""
        if self.database_pooler is not None or self.database_url is None:
            return bool(self.database_pooler)
        return urlsplit(self.database_url.get_secret_value()).port == TRANSACTION_POOLER_PORT

    @property
    def in_development(self) -> bool:
        return self.environment is Environment.DEVELOPMENT

    def missing(self) -> list[str]:
        """Return the names of variables that this environment cannot do without and that are not set."""
        needed = {
            "DATABASE_URL": self.database_url,
            "SUPABASE_URL": self.supabase_url,
            "PII_KEYS": self.pii_keys,
            "SUPABASE_ANON_KEY": self.supabase_anon_key,
            "MPESA_SHORTCODE": self.mpesa_shortcode,
            "MPESA_CALLBACK_TOKENS": self.mpesa_callback_tokens,
            "MPESA_CALLBACK_BASE_URL": self.mpesa_callback_base_url,
            "MPESA_CONSUMER_KEY": self.mpesa_consumer_key,
            "MPESA_CONSUMER_SECRET": self.mpesa_consumer_secret,
            "MPESA_PASSKEY": self.mpesa_passkey,
            "MPESA_B2C_SHORTCODE": self.mpesa_b2c_shortcode,
            "MPESA_INITIATOR_NAME": self.mpesa_initiator_name,
            "MPESA_INITIATOR_PASSWORD": self.mpesa_initiator_password,
            "MPESA_CERTIFICATE": self.mpesa_certificate,
        }
        if self.environment is Environment.PRODUCTION:
            signing = self.mpesa_webhook_secret or self.mpesa_webhook_public_key
            needed["MPESA_WEBHOOK_SECRET or MPESA_WEBHOOK_PUBLIC_KEY"] = signing
            needed["SMS_GATEWAY_URL"] = self.sms_gateway_url
        if self.environment is Environment.PRODUCTION or self.sms_gateway_url is not None:
            needed["SMS_GATEWAY_TOKEN"] = self.sms_gateway_token
        return [name for name, value in needed.items() if not value]
