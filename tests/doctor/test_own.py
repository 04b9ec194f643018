"""What the doctor sees of what is ours: variables, keys of personal data, what may sign the webhook."""

import pytest

from tests.doctor.conftest import Healthy, patient_with
from tests.support.app import Api
from zanari_api.doctor import own
from zanari_api.doctor.findings import Outcome
from zanari_api.runtime.crypto import Keyring

OTHER_KEY = Keyring.parse("k2:" + "b3RoZXItMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg=")


async def test_variables_that_are_refused_fail_with_what_is_wrong() -> None:
    seen = await own.variables_are_fit(patient_with(problems=["DEBUG: must be false", "PORT: no number"]))
    assert seen.outcome is Outcome.FAILED
    assert seen.found == "DEBUG: must be false; PORT: no number"


async def test_a_rehearsal_is_told_what_production_would_refuse() -> None:
    seen = await own.variables_are_fit(patient_with(unfit_for_production=("MPESA_ENVIRONMENT",)))
    assert seen.outcome is Outcome.PASSED
    assert "production would refuse MPESA_ENVIRONMENT" in seen.found


@pytest.mark.parametrize(("keys", "outcome"), [(0, Outcome.FAILED), (1, Outcome.PASSED), (2, Outcome.PASSED)])
async def test_a_webhook_that_nothing_can_sign_fails(keys: int, outcome: Outcome) -> None:
    assert (await own.webhook_has_keys(patient_with(webhook_keys=keys))).outcome is outcome


async def test_a_key_ring_that_could_not_be_made_is_not_checked() -> None:
    assert (await own.keys_open_what_is_kept(patient_with(keyring=None))).outcome is Outcome.NOT_CHECKED


async def test_keys_that_open_what_is_kept_pass_and_others_are_named(on_database: Healthy, api: Api) -> None:
    async with on_database(api.database.service_dsn, keyring=OTHER_KEY) as patient:
        # Nothing is kept yet, and looking makes nothing.
        assert "nothing is wrapped" in (await own.keys_open_what_is_kept(patient)).found
        assert "nothing is wrapped" in (await own.keys_open_what_is_kept(patient)).found
    saver = await api.new_saver()
    async with on_database(api.database.service_dsn, keyring=OTHER_KEY) as patient:
        seen = await own.keys_open_what_is_kept(patient)
    assert seen.outcome is Outcome.FAILED
    assert "PII_KEYS" in (seen.cure or "")
    async with on_database(api.database.service_dsn, keyring=api.runtime.keyring) as patient:
        assert (await own.keys_open_what_is_kept(patient)).outcome is Outcome.PASSED
        async with api.database.connected("postgres") as connection:
            await connection.execute(
                "UPDATE savings.savers SET data_key = $2 WHERE saver_id = $1",
                saver.id,
                bytes([3]) + b"k17" + b"x" * 60,
            )
        seen = await own.keys_open_what_is_kept(patient)
    assert seen.outcome is Outcome.FAILED
    assert "k17" in seen.found
