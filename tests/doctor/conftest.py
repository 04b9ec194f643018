"""A healthy patient of the doctor, on the module's database, that a test makes ill in one thing."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.support.daraja import certificate_pem
from tests.support.postgres import Database
from zanari_api.doctor.patient import Patient, Safaricom, Supabase
from zanari_api.kit.clock import Clock
from zanari_api.runtime.crypto import Keyring
from zanari_api.runtime.db import Database as Service

KEYRING = Keyring.parse("k1:" + "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=")

Healthy = Callable[..., AbstractAsyncContextManager[Patient]]


def patient_with(**changes: Any) -> Patient:
    """Return a patient without a database, with these changes to it, or to its Supabase or Safaricom."""
    supabase = Supabase(url=None, jwks_url=None)
    safaricom = Safaricom(
        client=None,
        base_url="http://127.0.0.1:9",
        callback_base_url=None,
        is_production=False,
        certificate=certificate_pem(),
        initiator_password_set_on=None,
    )
    patient = Patient(
        environment="staging",
        clock=Clock(),
        problems=(),
        unfit_for_production=(),
        database=None,
        pool_max=8,
        keyring=KEYRING,
        webhook_keys=1,
        supabase=supabase,
        safaricom=safaricom,
        sms_gateway_url=None,
    )
    for name, value in changes.items():
        if hasattr(patient, name):
            patient = replace(patient, **{name: value})
        elif hasattr(supabase, name):
            patient = replace(patient, supabase=replace(patient.supabase, **{name: value}))
        else:
            patient = replace(patient, safaricom=replace(patient.safaricom, **{name: value}))
    return patient


@pytest.fixture
def on_database(database: Database) -> Healthy:
    """Return what gives a patient on the module's database, or logged in there otherwise."""

    @asynccontextmanager
    async def give(dsn: str | None = None, **changes: Any) -> AsyncIterator[Patient]:
        service = Service(dsn or database.service_dsn)
        await service.open()
        try:
            yield patient_with(database=service, **changes)
        finally:
            await service.close()

    return give
