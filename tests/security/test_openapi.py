"""Whatever the OpenAPI document allows, and whatever it forbids, is answered as documented and never by a 5xx."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from requests import Session
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.schemas import APIOperation

from tests.support.app import CALLBACK_TOKEN, Api
from tests.support.loopback import served
from zanari_api.runtime.problems import MEDIA_TYPE

EXAMPLES: Final = 25

UNREADY_IN_TESTS: Final = "/health/ready"
"""Answers 503 here by design: the tests' server keeps nothing that it commits."""

load_all_checks()
CONFORMS: Final = CHECKS.get_by_names(
    ["content_type_conformance", "response_schema_conformance", "response_headers_conformance"]
)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
async def test_every_operation_answers_as_its_document_says(api: Api, mode: GenerationMode) -> None:
    saver = await api.new_saver()
    goals = [await saver.goal_holding(1_000, name) for name in ("School", "Roof")]
    await saver.spend(14_700)
    known = {
        "token": [CALLBACK_TOKEN],
        "goal_id": [goal["id"] for goal in (*goals, await saver.default_goal())],
        "transaction_id": [row["id"] for row in await saver.feed()],
    }
    async with served(api.app) as base_url:
        answered = await asyncio.to_thread(exercise, api, base_url, token=saver.token, mode=mode, known=known)
    paths = api.app.openapi()["paths"]
    operations = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    assert answered.keys() >= operations - {f"GET {UNREADY_IN_TESTS}"} - untouched(mode, paths)
    if mode is GenerationMode.POSITIVE:
        assert {status // 100 for statuses in answered.values() for status in statuses} == {2, 4}


def untouched(mode: GenerationMode, paths: dict[str, dict[str, dict[str, object]]]) -> set[str]:
    """Return the operations that cannot be called wrongly: they take nothing."""
    if mode is GenerationMode.POSITIVE:
        return set()
    return {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method, operation in methods.items()
        if not operation.get("parameters") and "requestBody" not in operation
    }


@dataclass(slots=True)
class Caller:
    """Sends what schemathesis makes up, with a saver's token, and looks at each answer."""

    base_url: str
    token: str
    mode: GenerationMode
    session: Session
    known: Mapping[str, Iterator[str]]
    """What path parameters stand for something that is there, each in turn."""

    answered: dict[str, set[int]] = field(default_factory=dict)

    def send(self, case: Case) -> None:
        if self.mode is GenerationMode.POSITIVE:
            # No made-up one would ever be right.
            known = {name: next(values) for name, values in self.known.items()}
            case.path_parameters |= {name: known[name] for name in case.path_parameters.keys() & known.keys()}
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": str(uuid4())}
        response = case.call(base_url=self.base_url, session=self.session, headers=headers)
        self.answered.setdefault(case.operation.label, set()).add(response.status_code)
        sent = case.as_curl_command(headers={"Authorization": "Bearer $TOKEN"})
        assert response.status_code < 500, f"{sent}\n{response.text}"
        if response.status_code >= 400:
            assert response.headers["content-type"] == [MEDIA_TYPE], sent
            problem = response.json()
            assert problem["status"] == response.status_code, sent
            assert problem["code"], sent
        case.validate_response(response, checks=CONFORMS)

    def exercise(self, operation: APIOperation) -> None:
        strategy = operation.as_strategy(generation_mode=self.mode)
        examples = settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )

        @examples
        @given(case=strategy)
        def send(case: Case) -> None:
            self.send(case)

        try:
            send()
        except Unsatisfiable:
            # Nothing is forbidden there: every value of every field is allowed.
            self.answered.setdefault(operation.label, set())


def exercise(
    api: Api, base_url: str, *, token: str, mode: GenerationMode, known: Mapping[str, list[str]]
) -> dict[str, set[int]]:
    """Call every operation with made-up data of one kind; return the statuses that each answered."""
    with Session() as session:
        session.trust_env = False
        caller = Caller(
            base_url, token, mode, session, {name: cycle(values) for name, values in known.items()}
        )
        for result in schemathesis.openapi.from_dict(api.app.openapi()).get_all_operations():
            operation = result.ok()
            if operation.path != UNREADY_IN_TESTS:
                caller.exercise(operation)
    return caller.answered
