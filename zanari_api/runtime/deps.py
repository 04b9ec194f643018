"""What a route may ask for: the saver who calls, a transaction of that saver's, an effect that happens once."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final, TypeVar, cast
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from zanari_api.kit.clock import Clock
from zanari_api.kit.errors import Refusal
from zanari_api.runtime.activity import Activity
from zanari_api.runtime.auth import Principal, TokenMissing, TokenVerifier
from zanari_api.runtime.crypto import Keyring, ServiceKeyStore
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.idempotency import Once
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.rate_limit import RateLimiter
from zanari_api.runtime.session import SessionChecker

T = TypeVar("T")

KNOWN_PRINCIPALS_MAX: Final = 50_000

bearer = HTTPBearer(auto_error=False, description="An access token of Supabase Auth.")


class FeatureDisabled(Refusal):
    """This feature is switched off for now. Your money and your records are untouched."""

    code = "feature_disabled"
    status = 403


@dataclass(frozen=True, slots=True)
class Features:
    """What is switched on; spends are recorded whatever these say."""

    round_ups: bool = True
    goals: bool = True


@dataclass(slots=True)
class Runtime:
    """The running service's parts, made once by `main` and carried on `app.state`."""

    database: Database
    keyring: Keyring
    service_keys: ServiceKeyStore
    verifier: TokenVerifier
    sessions: SessionChecker
    limiter: RateLimiter
    activity: Activity
    metrics: Metrics
    features: Features
    provision: Callable[["Runtime", Principal], Awaitable[None]]
    """Makes the saver of a verified token and links the token's phone; safe to call again."""

    clock: Clock = field(default_factory=Clock)
    """The time that decisions are taken by."""

    known: OrderedDict[tuple[UUID, str | None, datetime], None] = field(default_factory=OrderedDict)
    """Principals already provisioned by this process, newest last."""


async def runtime_of(request: Request) -> Runtime:
    return cast("Runtime", request.app.state.runtime)


RuntimeOf = Annotated[Runtime, Depends(runtime_of)]


@dataclass(frozen=True, slots=True)
class Saver:
    """The saver a request acts for, and transactions that row level security limits to that saver."""

    id: UUID
    runtime: Runtime
    signed_in_at: datetime | None
    """When this saver last proved to Supabase Auth who they are, as far as the token says."""

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        async with self.runtime.database.transaction(Role.API, self.id) as tx:
            return await work(tx)

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return await self.runtime.database.unit_of_work(work, role=Role.API, saver_id=self.id)


async def current_saver(
    request: Request,
    runtime: RuntimeOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Saver:
    """Verify the token, make the saver on first sight, count the request against the saver's limit.

    Raises TokenMissing, InvalidToken, RateLimited, AuthUnavailable, DatabaseUnavailable.
    """
    if credentials is None:
        raise TokenMissing
    principal = await runtime.verifier.verify(credentials.credentials)
    await runtime.limiter.check_saver(request, principal.saver_id)
    request.state.saver_id = principal.saver_id
    identity = (principal.saver_id, principal.phone, principal.issued_at)
    if identity not in runtime.known:
        await runtime.provision(runtime, principal)
        runtime.known[identity] = None
        if len(runtime.known) > KNOWN_PRINCIPALS_MAX:
            runtime.known.popitem(last=False)
    runtime.activity.seen(principal.saver_id)
    return Saver(principal.saver_id, runtime, principal.signed_in_at)


CurrentSaver = Annotated[Saver, Depends(current_saver)]


async def live_session(
    saver: CurrentSaver, credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]
) -> Saver:
    """Have Supabase Auth say that the session still stands: for routes that send money out or set a PIN.

    A verified token is not enough there, since it outlives a sign-out. Raises SessionEnded, AuthUnavailable.
    """
    await saver.runtime.sessions.ensure_live(credentials.credentials, saver_id=saver.id)
    return saver


LiveSession = Annotated[Saver, Depends(live_session)]
"""The current saver, whose session Supabase Auth has just confirmed."""


async def idempotent(
    request: Request,
    saver: CurrentSaver,
    key: Annotated[
        str | None,
        Header(alias="Idempotency-Key", description="New for each new intention; the same for each retry."),
    ] = None,
) -> Once:
    """Raises IdempotencyKeyRequired when the header is missing or malformed."""
    return Once(saver.runtime.database, saver_id=saver.id, key=key, request=request)


Idempotent = Annotated[Once, Depends(idempotent)]


async def goals_enabled(runtime: RuntimeOf) -> None:
    """Refuse with FeatureDisabled while FEATURE_GOALS_ENABLED is false."""
    if not runtime.features.goals:
        raise FeatureDisabled
