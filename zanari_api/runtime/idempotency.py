"""One Idempotency-Key, one effect: its answer is stored with the effect and given again, byte for byte."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Final, LiteralString
from uuid import UUID

import orjson
from fastapi import Request, Response
from pydantic import BaseModel

from zanari_api.kit.errors import Refusal
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.purging import Age, Purge

KEY_PATTERN: Final = re.compile(r"[\x21-\x7e]{1,255}")
REPLAYED_HEADER: Final = "Idempotent-Replayed"

TRY_LOCK: Final[LiteralString] = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 20260101))"

FIND_ANSWER: Final[LiteralString] = """
    SELECT fingerprint, status, body
      FROM runtime.idempotency_keys
     WHERE saver_id = $1 AND key = $2 AND created_at > now() - interval '30 days'
"""

# A row older than 30 days is as good as gone: its place is taken.
STORE_ANSWER: Final[LiteralString] = """
    INSERT INTO runtime.idempotency_keys (saver_id, key, fingerprint, status, body)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (saver_id, key) DO UPDATE
       SET fingerprint = EXCLUDED.fingerprint, status = EXCLUDED.status, body = EXCLUDED.body, created_at = now()
"""

DELETE_ANSWERS: Final[LiteralString] = "SELECT runtime.forget_answers($1, $2)"


class IdempotencyKeyRequired(Refusal):
    """Send an Idempotency-Key header: 1 to 255 visible ASCII characters, new for each new intention."""

    code = "idempotency_key_required"
    status = 400


class IdempotencyKeyReused(Refusal):
    """This Idempotency-Key was used for another request. Use a new key for a new intention."""

    code = "idempotency_key_reused"
    status = 422


class RequestInProgress(Refusal):
    """The same request is still being carried out. Send it again in a second."""

    code = "request_in_progress"
    status = 409


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it was first given."""

    fingerprint: bytes
    status: int
    body: bytes


class _Clash(Enum):
    IN_PROGRESS = auto()
    REUSED = auto()


class Once:
    """Carries out one saver's request at most once for its Idempotency-Key."""

    def __init__(self, database: Database, *, saver_id: UUID, key: str | None, request: Request) -> None:
        """Raises IdempotencyKeyRequired when the key is missing or not 1-255 visible ASCII characters."""
        if key is None or not KEY_PATTERN.fullmatch(key):
            raise IdempotencyKeyRequired
        self._database = database
        self._saver_id = saver_id
        self._key = key
        self._request = request

    async def __call__(
        self,
        work: Callable[[Tx], Awaitable[BaseModel | Refusal]],
        *,
        body: BaseModel | None = None,
        status: int = 200,
    ) -> Response:
        """Run `work` and store its answer in one transaction, or give the stored answer again.

        Refusals are raised through and store nothing: the key stays usable. One that `work` returns is raised too,
        when what `work` wrote is committed. Raises IdempotencyKeyReused
        for another request under the key, RequestInProgress while the first one still runs.
        """
        fingerprint = self._fingerprint(body)

        async def work_once(tx: Tx) -> tuple[Answer, bool] | Refusal | _Clash:
            # A try-lock never waits, so it cannot deadlock with the saver's row, which `work` locks next.
            if not await tx.fetch_value(bool, TRY_LOCK, f"{self._saver_id}:{self._key}"):
                return _Clash.IN_PROGRESS
            stored = await tx.fetch_one(Answer, FIND_ANSWER, self._saver_id, self._key)
            if stored is not None:
                return (stored, True) if stored.fingerprint == fingerprint else _Clash.REUSED
            done = await work(tx)
            if isinstance(done, Refusal):
                return done
            answer = Answer(fingerprint, status, done.model_dump_json().encode())
            await tx.execute(STORE_ANSWER, self._saver_id, self._key, fingerprint, status, answer.body)
            return answer, False

        outcome = await self._database.unit_of_work(work_once, role=Role.API, saver_id=self._saver_id)
        match outcome:
            case _Clash.IN_PROGRESS:
                raise RequestInProgress(retry_after=1)
            case _Clash.REUSED:
                raise IdempotencyKeyReused
            case Refusal():
                raise outcome
            case (answer, replayed):
                headers = {REPLAYED_HEADER: "true"} if replayed else None
                return Response(answer.body, answer.status, headers, media_type="application/json")

    def _fingerprint(self, body: BaseModel | None) -> bytes:
        """Hash what makes two requests the same: method, route, path parameters, validated body."""
        route = self._request.scope["route"].path
        parameters = {name: str(value) for name, value in self._request.path_params.items()}
        content = None if body is None else body.model_dump(mode="json")
        canonical = orjson.dumps(
            [self._request.method, route, parameters, content], option=orjson.OPT_SORT_KEYS
        )
        return hashlib.sha256(canonical).digest()


async def _forget(tx: Tx, age: Age) -> int:
    return await tx.fetch_value(int, DELETE_ANSWERS, age.before, age.limit) or 0


PURGE: Final = Purge(name="purge_idempotency_keys", kept_for=timedelta(days=30), batch=_forget)
