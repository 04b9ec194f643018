"""Every look becomes a line, whatever happens to it; the others go on."""

import asyncio

from tests.doctor.conftest import Healthy, patient_with
from zanari_api.doctor.examination import Look, examine
from zanari_api.doctor.findings import Finding, Outcome, as_json, passed
from zanari_api.doctor.looks import LOOKS
from zanari_api.doctor.patient import Patient

A_SECRET = "hunter2-must-not-be-shown"


async def well(_patient: Patient) -> Finding:
    return passed("well")


async def breaks(_patient: Patient) -> Finding:
    raise RuntimeError(A_SECRET)


async def hangs(_patient: Patient) -> Finding:
    await asyncio.sleep(60)
    return passed("never")


async def test_a_look_that_breaks_is_a_failed_line_and_the_next_goes_on() -> None:
    first, second = await examine(patient_with(), [Look("broken", breaks), Look("well", well)])
    assert first.finding.outcome is Outcome.FAILED
    assert "RuntimeError" in first.finding.found
    assert A_SECRET not in f"{first}"
    assert second.finding == passed("well")


async def test_a_look_that_hangs_is_a_failed_line_after_its_time() -> None:
    looks = [Look("hanging", hangs), Look("well", well)]
    first, second = await examine(patient_with(), looks, timeout_s=0.05)
    assert first.finding.outcome is Outcome.FAILED
    assert "within 0.05 s" in first.finding.found
    assert second.finding.outcome is Outcome.PASSED


async def test_what_needs_a_database_that_is_away_is_not_checked_and_the_rest_is() -> None:
    lines = {line.name: line.finding for line in await examine(patient_with(), LOOKS)}
    assert lines["database"].outcome is Outcome.FAILED
    for look in LOOKS:
        if look.needs_database:
            assert lines[look.name].outcome is Outcome.NOT_CHECKED
            assert "database" in lines[look.name].found
    assert lines["webhook"].outcome is Outcome.PASSED
    assert lines["mpesa_certificate"].outcome is Outcome.PASSED
    assert lines["daraja"].outcome is Outcome.FAILED


async def test_each_failure_has_a_cure_and_nothing_else_has(on_database: Healthy) -> None:
    async with on_database() as patient:
        lines = await examine(patient, LOOKS)
    assert [line.name for line in lines] == [look.name for look in LOOKS]
    for line in lines:
        assert line.finding.found
        assert (line.finding.cure is not None) == (line.finding.outcome is Outcome.FAILED)


async def test_the_document_counts_its_lines(on_database: Healthy) -> None:
    async with on_database() as patient:
        lines = await examine(patient, LOOKS)
    document = as_json(lines, environment="staging", version="1")
    told = [each["outcome"] for each in document["lines"]]
    assert document["schema"] == 1
    for outcome in Outcome:
        assert document[outcome] == told.count(outcome)
    assert set(document["lines"][0]) == {"name", "outcome", "found", "cure"}
