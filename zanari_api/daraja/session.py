"""Calls Safaricom with the shared access token: gets it, sends, and sends again once when the token was refused."""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar

import stamina

from zanari_api.daraja.config import DarajaConfig
from zanari_api.daraja.errors import (
    DarajaError,
    DarajaRefused,
    DarajaUnavailable,
    DarajaUnresolved,
    Doubt,
    Hindrance,
    Operation,
    RefusalReason,
)
from zanari_api.daraja.observing import Observer
from zanari_api.daraja.refusals import not_accepted, refusal_of
from zanari_api.daraja.tokens import AccessToken, FreshToken, Tokens
from zanari_api.daraja.transport import Answer, Request, Transport
from zanari_api.daraja.values import Fields, code_of, text_of
from zanari_api.kit.clock import Clock
from zanari_api.kit.wire_json import UnreadableJson, read_object
from zanari_api.runtime.crypto import ServiceKeyStore
from zanari_api.runtime.db import Database

T = TypeVar("T")

TOKEN_PATH: Final = "/oauth/v1/generate?grant_type=client_credentials"  # noqa: S105 (a path)
LONGEST_LIFETIME_S: Final = 86_400

ATTEMPTS: Final = 3
ATTEMPTS_TIMEOUT_S: Final = 8.0
FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 2.0
WAIT_JITTER_S: Final = 0.3


class Session:
    """What every call goes through. A call is sent once, but for a refused token, after which nothing happened."""

    def __init__(
        self,
        config: DarajaConfig,
        *,
        database: Database,
        service_keys: ServiceKeyStore,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._transport = Transport(config, clock=clock, observer=observer)
        self._basic = "Basic " + _base64(f"{config.consumer_key}:{config.consumer_secret}")
        self._tokens = Tokens(
            app=(config.base_url, config.consumer_key),
            database=database,
            service_keys=service_keys,
            clock=clock,
            ask=self._ask_for_token,
            longest_ask=longest_ask(config),
        )

    async def close(self) -> None:
        await self._transport.close()

    async def call(
        self,
        operation: Operation,
        path: str,
        body: Mapping[str, str | int],
        *,
        read: Callable[[Answer], T],
        verb: str = "POST",
    ) -> T:
        """Send a request once, and return what `read` makes of the answer. Raises the errors of `errors`."""

        async def send(token: AccessToken) -> T:
            authorization = f"Bearer {token.text}"
            return await self._transport.send(
                Request(operation=operation, path=path, verb=verb, body=body, authorization=authorization),
                read,
            )

        token: AccessToken | None = None
        for _ in range(2):
            token = await self._token(operation, refused=token)
            try:
                return await send(token)
            except DarajaRefused as refused:
                if refused.reason is not RefusalReason.INVALID_TOKEN:
                    raise
        # Twice nothing happened, and no token is at hand that would change that.
        raise DarajaUnavailable(operation, Hindrance.NO_TOKEN)

    async def ask(
        self,
        operation: Operation,
        path: str,
        body: Mapping[str, str | int],
        *,
        read: Callable[[Answer], T],
        verb: str = "POST",
    ) -> T:
        """Do as `call`, and again when there was no answer. Only for what changes nothing on the other side."""

        async def call() -> T:
            return await self.call(operation, path, body, read=read, verb=verb)

        return await _until_answered(call)

    async def renew_token(self) -> datetime:
        """Have Safaricom give a new token, and return until when it is used. Raises the errors of `errors`."""
        return (await self._tokens.renew()).expires_at

    async def token_until(self) -> datetime:
        """Return until when the token at hand is used, after getting one where there is none. Raises as asking does."""
        return (await self._tokens.get()).expires_at

    async def _token(self, operation: Operation, *, refused: AccessToken | None) -> AccessToken:
        try:
            return await self._tokens.get(refused=refused)
        except DarajaError as error:
            raise DarajaUnavailable(operation, Hindrance.NO_TOKEN) from error

    async def _ask_for_token(self) -> FreshToken:
        request = Request(operation=Operation.TOKEN, path=TOKEN_PATH, verb="GET", authorization=self._basic)

        async def send() -> FreshToken:
            return await self._transport.send(request, _read_token)

        return await _until_answered(send)


def longest_ask(config: DarajaConfig) -> timedelta:
    """Return how long it may take to be answered or to give up, with every attempt that is made.

    An attempt begins after the wait that follows the last one that ended in time, and is not broken off by what
    bounds them all.
    """
    last_begins = timedelta(seconds=ATTEMPTS_TIMEOUT_S + LONGEST_WAIT_S + WAIT_JITTER_S)
    return last_begins + config.limiter_wait + timedelta(seconds=config.exchange_timeout_s)


def success_in(operation: Operation, answer: Answer) -> Fields:
    """Return the JSON object of a 2xx that is no error. Raises DarajaRefused or DarajaUnresolved."""
    if not 200 <= answer.status < 300:  # noqa: PLR2004 (2xx)
        raise refusal_of(operation, answer.status, answer.body)
    try:
        fields = read_object(answer.body)
    except UnreadableJson as error:
        raise DarajaUnresolved(operation, Doubt.UNREADABLE, http_status=answer.status) from error
    if fields.get("errorCode") is not None:
        raise refusal_of(operation, answer.status, answer.body)
    return fields


def accepted_in(operation: Operation, answer: Answer) -> Fields:
    """Return the JSON object of an answer that says accepted. Raises DarajaRefused or DarajaUnresolved."""
    fields = success_in(operation, answer)
    if code_of(fields.get("ResponseCode")) != "0":
        raise not_accepted(operation, answer.status, fields)
    return fields


def found_in(answer: Answer, read: Callable[[Fields], T]) -> T | None:
    """Return what `read` finds in the answer's JSON, whatever its status; None where it is no JSON object."""
    try:
        return read(read_object(answer.body))
    except UnreadableJson:
        return None


def _read_token(answer: Answer) -> FreshToken:
    fields = success_in(Operation.TOKEN, answer)
    text, lifetime = text_of(fields.get("access_token")), code_of(fields.get("expires_in")) or ""
    # It goes into a header, and the lifetime comes as a number or as a string of digits.
    if text is None or not (
        text.isascii() and text.isprintable() and " " not in text and lifetime.isdecimal()
    ):
        raise DarajaUnresolved(Operation.TOKEN, Doubt.UNREADABLE, http_status=answer.status)
    return FreshToken(text, timedelta(seconds=min(int(lifetime), LONGEST_LIFETIME_S)))


def _may_be_asked_again(error: Exception) -> bool:
    match error:
        case DarajaUnresolved():
            return True
        case DarajaUnavailable(cause=cause):
            return cause is Hindrance.NOT_REACHED
        case _:
            return False


_until_answered = stamina.AsyncRetryingCaller(
    attempts=ATTEMPTS,
    timeout=ATTEMPTS_TIMEOUT_S,
    wait_initial=FIRST_WAIT_S,
    wait_max=LONGEST_WAIT_S,
    wait_jitter=WAIT_JITTER_S,
).on(_may_be_asked_again)
"""Calls what it is given, again after a while where that may be. It logs its arguments, so it is given none."""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
