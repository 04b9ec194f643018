"""Makes the service's parts from its settings, the same ones for the API, the worker and the command. Starts none."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from pydantic import SecretStr

from zanari_api.counting import counting
from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.config import PRODUCTION, DarajaConfig, base_url_of, check_callback_url
from zanari_api.daraja.credential import expires_at, read_certificate
from zanari_api.daraja.observing import MetricsObserver
from zanari_api.fitness import unfit_for_production
from zanari_api.kit.clock import Clock, eat_day_start, utc_now
from zanari_api.ledger.heads import HeadFile, Heads
from zanari_api.me.provisioning import provision
from zanari_api.mpesa import callback_jobs, pull_jobs
from zanari_api.mpesa.balance_service import Asking
from zanari_api.mpesa.callback_jobs import CallbackWork
from zanari_api.mpesa.config import CallbackSources, CallbackTokens, MpesaConfig
from zanari_api.mpesa.inbox import CallbackKind, Intake
from zanari_api.mpesa.payout_sending import Paying
from zanari_api.mpesa.pull_jobs import Pulling
from zanari_api.mpesa.reversal_jobs import Reversing
from zanari_api.mpesa.signature import SignatureVerifier
from zanari_api.reconciliation.chain_service import Chaining
from zanari_api.reconciliation.service import Reconciling
from zanari_api.roundups.collections import Terms
from zanari_api.roundups.spends import Policy
from zanari_api.runtime.activity import Activity
from zanari_api.runtime.auth import TokenVerifier
from zanari_api.runtime.crypto import Keyring, ServiceKeyStore
from zanari_api.runtime.database_tls import check_root
from zanari_api.runtime.db import Database
from zanari_api.runtime.deps import Features, Runtime
from zanari_api.runtime.jobs import run_round
from zanari_api.runtime.log_budget import LogBudget
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.rate_limit import RateLimiter
from zanari_api.runtime.session import SessionChecker
from zanari_api.settings import Environment, Settings, SettingsInvalid
from zanari_api.sms.gateway import SmsGateway
from zanari_api.users.notice_jobs import Telling
from zanari_api.zeroes import start_at_zero

Part = TypeVar("Part")

INITIATOR_PASSWORD_LASTS: Final = timedelta(days=90)
"""M-PESA lets an API operator's password expire then."""

STEAD_REPLACES: Final = frozenset({"SUPABASE_URL", "SUPABASE_ANON_KEY"})


@dataclass(frozen=True, slots=True)
class Stead:
    """What stands in for Supabase Auth in development and tests: whose tokens are believed, and where to ask."""

    issuer: str
    auth_url: str
    api_key: str = "emulated"

    @property
    def jwks_url(self) -> str:
        return f"{self.auth_url}/.well-known/jwks.json"


NOBODY: Final = Stead("http://nobody.invalid", "http://nobody.invalid")
"""For a process that verifies no token: the worker, an operator's verb."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The service's parts, made and not yet started."""

    runtime: Runtime
    mpesa: MpesaConfig
    daraja: DarajaClient
    sms: SmsGateway | None
    """Where old numbers are told of changes; None where there is no gateway, and what is to be told waits."""

    collection_notice: timedelta
    """How long before its prompt a collection is announced."""

    heads: Heads | None
    """Where the head of the chain is written down, if anywhere."""

    unfit_for_production: tuple[str, ...]
    """Variables that production would refuse. Staging starts with them, and says so."""

    async def intake(self) -> Intake:
        """Return what callbacks are taken in with now. Raises DatabaseUnavailable until the keys were read once."""
        policy = Policy(
            feature_enabled=self.runtime.features.round_ups,
            own_shortcodes=self.mpesa.shortcodes,
            now=self.runtime.clock.now(),
            keyring=self.runtime.keyring,
        )
        keys = await self.runtime.service_keys.keys()
        return Intake(keys=keys, shortcodes=self.mpesa.shortcodes, policy=policy)

    async def collection_terms(self) -> Terms:
        """Return what collections depend on now. Raises DatabaseUnavailable until the keys were read once."""
        keys = await self.runtime.service_keys.keys()
        return Terms(
            feature_enabled=self.runtime.features.round_ups,
            shortcode=self.daraja.config.shortcode,
            keyring=self.runtime.keyring,
            index=keys.index,
            notice=self.collection_notice,
        )

    def pulling(self) -> Pulling:
        """Return what payments whose confirmation never came are recovered with."""
        return Pulling(
            database=self.runtime.database,
            daraja=self.daraja,
            clock=self.runtime.clock,
            metrics=self.runtime.metrics,
            config=self.mpesa,
            intake=self.intake,
        )

    def paying(self) -> Paying:
        """Return what payouts are sent and asked about with."""
        return Paying(
            database=self.runtime.database,
            daraja=self.daraja,
            clock=self.runtime.clock,
            keyring=self.runtime.keyring,
            result_url=self.mpesa.callback_url(CallbackKind.B2C_RESULT),
            timeout_url=self.mpesa.callback_url(CallbackKind.B2C_TIMEOUT),
            status_result_url=self.mpesa.callback_url(CallbackKind.STATUS_RESULT),
            status_timeout_url=self.mpesa.callback_url(CallbackKind.STATUS_TIMEOUT),
        )

    def telling(self) -> Telling:
        """Return what notices are sent with."""
        return Telling(
            database=self.runtime.database,
            gateway=self.sms,
            keyring=self.runtime.keyring,
            clock=self.runtime.clock,
        )

    def callback_work(self) -> CallbackWork:
        """Return what callbacks that could not be acted on at once are worked on with."""
        return CallbackWork(database=self.runtime.database, intake=self.intake, metrics=self.runtime.metrics)

    def reversing(self) -> Reversing:
        """Return what reversals are sent with."""
        return Reversing(
            database=self.runtime.database,
            daraja=self.daraja,
            clock=self.runtime.clock,
            result_url=self.mpesa.callback_url(CallbackKind.REVERSAL_RESULT),
            timeout_url=self.mpesa.callback_url(CallbackKind.REVERSAL_TIMEOUT),
        )

    def reconciling(self) -> Reconciling:
        """Return what our floats are compared with Safaricom's books with."""
        collecting, paying = self.daraja.config.shortcode, self.daraja.config.b2c_shortcode
        ours = (collecting, *sorted(self.mpesa.shortcodes), *filter(None, (paying,)))

        async def recover() -> None:
            await pull_jobs.pull(self.pulling())

        async def look_again() -> None:
            for job in callback_jobs.jobs(self.callback_work()):
                await run_round(job, database=self.runtime.database, clock=self.runtime.clock)

        return Reconciling(
            database=self.runtime.database,
            clock=self.runtime.clock,
            asking=Asking(
                database=self.runtime.database,
                daraja=self.daraja,
                clock=self.runtime.clock,
                result_url=self.mpesa.callback_url(CallbackKind.BALANCE_RESULT),
                timeout_url=self.mpesa.callback_url(CallbackKind.BALANCE_TIMEOUT),
            ),
            shortcodes=tuple(dict.fromkeys(ours)),
            look_again=look_again,
            recover=None if self.mpesa.pull_msisdn is None else recover,
        )

    def chaining(self) -> Chaining:
        """Return what the chain is sealed and verified with."""
        return Chaining(database=self.runtime.database, clock=self.runtime.clock, heads=self.heads)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None, None]:
        """Let the parts reach the outside for as long as the block runs."""
        await self.runtime.database.open()
        try:
            yield
        finally:
            await self.daraja.close()
            if self.sms is not None:
                await self.sms.close()
            await self.runtime.verifier.close()
            await self.runtime.sessions.close()
            await self.runtime.limiter.close()
            await self.runtime.database.close()


def assemble(settings: Settings, *, stead: Stead | None = None, clock: Clock | None = None) -> Parts:
    """Make the parts. `stead` replaces SUPABASE_URL and its key, `clock` the time that decisions are taken by.

    Connects to nothing yet. Raises SettingsInvalid for what is missing or wrong, by name and without the value.
    """
    unfit = refuse_unfit(settings, stead=stead)
    auth_url = f"{(settings.supabase_url or '').rstrip('/')}/auth/v1"
    supabase = Stead(auth_url, auth_url, reveal(settings.supabase_anon_key) or "")
    metrics = Metrics()
    start_at_zero(metrics)
    runtime = _runtime(settings, metrics, stead or supabase, clock or Clock())
    return Parts(
        runtime=runtime,
        mpesa=_mpesa_config(settings),
        daraja=_daraja(settings, runtime),
        sms=_sms(settings),
        collection_notice=timedelta(seconds=settings.collection_notice_s),
        heads=None if settings.ledger_head_file is None else HeadFile(Path(settings.ledger_head_file)),
        unfit_for_production=unfit,
    )


def refuse_unfit(settings: Settings, *, stead: Stead | None = None) -> tuple[str, ...]:
    """Raise SettingsInvalid for all that is missing, and in production for all that must not handle people's money.

    Returns the names of the latter where staging has them: it is for rehearsals with M-PESA's sandbox.
    """
    missing = [name for name in settings.missing() if stead is None or name not in STEAD_REPLACES]
    unfit: Mapping[str, str] = {} if settings.in_development else unfit_for_production(settings)
    problems = [f"not set: {', '.join(missing)}"] if missing else []
    if settings.environment is Environment.PRODUCTION:
        problems += [f"{name}: {reason}" for name, reason in unfit.items()]
    if problems:
        raise SettingsInvalid("; ".join(problems))
    return tuple(unfit)


def _runtime(settings: Settings, metrics: Metrics, stead: Stead, clock: Clock) -> Runtime:
    dsn = reveal(settings.database_url) or ""
    checked("DATABASE_URL", lambda: check_root(dsn))
    database = Database(
        dsn,
        pooled=settings.behind_pooler,
        on_rerun=metrics.reruns.inc,
        on_commit=counting(metrics),
    )
    metrics.watch_pool(database.pool_use, waiting=database.waiting)
    keyring = checked("PII_KEYS", lambda: Keyring.parse(reveal(settings.pii_keys) or ""))
    return Runtime(
        database=database,
        keyring=keyring,
        service_keys=ServiceKeyStore(database, keyring),
        verifier=checked(
            "SUPABASE_JWT_SECRET",
            lambda: TokenVerifier(
                issuer=stead.issuer,
                jwks_url=stead.jwks_url,
                metrics=metrics,
                hs256_secret=reveal(settings.supabase_jwt_secret),
            ),
        ),
        sessions=SessionChecker(auth_url=stead.auth_url, api_key=stead.api_key),
        limiter=checked(
            "REDIS_URL",
            lambda: RateLimiter(
                metrics=metrics,
                redis_url=reveal(settings.redis_url),
                saver_per_minute=settings.rate_limit_saver,
                address_per_minute=settings.rate_limit_address,
                pin_per_minute=settings.rate_limit_pin,
            ),
        ),
        activity=Activity(database, metrics=metrics),
        metrics=metrics,
        features=Features(round_ups=settings.feature_rollup_enabled, goals=settings.feature_goals_enabled),
        provision=provision,
        clock=clock,
    )


def _mpesa_config(settings: Settings) -> MpesaConfig:
    return MpesaConfig(
        signature=checked(
            "MPESA_WEBHOOK_SECRET or MPESA_WEBHOOK_PUBLIC_KEY",
            lambda: SignatureVerifier(
                secrets=_entries(settings.mpesa_webhook_secret),
                public_key_pem=settings.mpesa_webhook_public_key,
                allow_untimed=settings.mpesa_webhook_allow_untimed,
                clock=utc_now,
            ),
        ),
        tokens=checked(
            "MPESA_CALLBACK_TOKENS", lambda: CallbackTokens.parse(_entries(settings.mpesa_callback_tokens))
        ),
        shortcodes=frozenset(_shortcodes(settings)),
        prompt_shortcode=_shortcodes(settings)[0],
        sources=checked("MPESA_IP_ALLOWLIST", lambda: _sources(settings)),
        callback_base_url=(settings.mpesa_callback_base_url or "").rstrip("/"),
        pull_msisdn=settings.mpesa_pull_number,
        refused_log=LogBudget("credential_refused"),
        source_log=LogBudget("callback_source_not_listed"),
        deferred_log=LogBudget("callback_deferred"),
    )


def _sources(settings: Settings) -> CallbackSources:
    enforced = settings.mpesa_ip_allowlist_enforced
    if enforced is None:
        enforced = settings.mpesa_environment == PRODUCTION
    return CallbackSources(settings.mpesa_ip_allowlist, enforced=enforced)


def _daraja(settings: Settings, runtime: Runtime) -> DarajaClient:
    certificate = (settings.mpesa_certificate or "").encode()
    production = settings.mpesa_environment == PRODUCTION

    def checked_url() -> str:
        url = settings.mpesa_callback_base_url or ""
        check_callback_url(url, production=production)
        return url.rstrip("/")

    # Read once now, so that a wrong one is found at the start and not by the first payout.
    checked("MPESA_CERTIFICATE", lambda: read_certificate(certificate))
    _tell_expiries(settings, runtime.metrics, certificate)
    config = DarajaConfig(
        base_url=base_url_of(settings.mpesa_environment, settings.mpesa_base_url),
        consumer_key=reveal(settings.mpesa_consumer_key) or "",
        consumer_secret=reveal(settings.mpesa_consumer_secret) or "",
        shortcode=_shortcodes(settings)[0],
        passkey=reveal(settings.mpesa_passkey),
        b2c_shortcode=settings.mpesa_b2c_shortcode,
        initiator_name=settings.mpesa_initiator_name,
        initiator_password=reveal(settings.mpesa_initiator_password),
        certificate=certificate,
        callback_base_url=checked("MPESA_CALLBACK_BASE_URL", checked_url),
        pull_verb=settings.mpesa_pull_method,
    )
    return DarajaClient(
        config,
        database=runtime.database,
        service_keys=runtime.service_keys,
        clock=runtime.clock,
        observer=MetricsObserver(runtime.metrics),
    )


def _sms(settings: Settings) -> SmsGateway | None:
    url, token = settings.sms_gateway_url, reveal(settings.sms_gateway_token)
    return None if url is None or token is None else SmsGateway(url, token)


def _tell_expiries(settings: Settings, metrics: Metrics, certificate: bytes) -> None:
    """Show when the certificate and the initiator's password expire. 0 stands for what nobody said."""
    metrics.certificate_expiry.labels("mpesa").set(expires_at(certificate).timestamp())
    password = metrics.key_expiry.labels("mpesa_initiator_password")
    set_on = settings.mpesa_initiator_password_set_on
    password.set(0 if set_on is None else eat_day_start(set_on + INITIATOR_PASSWORD_LASTS).timestamp())


def _shortcodes(settings: Settings) -> tuple[str, ...]:
    return _entries(SecretStr(settings.mpesa_shortcode or ""))


def checked(name: str, make: Callable[[], Part]) -> Part:
    """Make a part of the service from a variable; a wrong value becomes an error that names the variable alone."""
    try:
        return make()
    except ValueError as error:
        raise SettingsInvalid(f"{name}: {error}") from None


def _entries(text: SecretStr | None) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in (reveal(text) or "").split(","))))


def reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
