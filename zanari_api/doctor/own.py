"""Looks at what is ours: the variables, the keys of personal data, the webhook's keys, the gateway of messages."""

from zanari_api.doctor import outside
from zanari_api.doctor.database import database_of
from zanari_api.doctor.findings import Finding, failed, not_checked, passed
from zanari_api.doctor.patient import Patient
from zanari_api.runtime import crypto
from zanari_api.runtime.crypto import Undecryptable
from zanari_api.runtime.db import Role
from zanari_api.users import service as users


async def variables_are_fit(patient: Patient) -> Finding:
    """Look whether the service would start with these variables, and whether production would."""
    if patient.problems:
        return failed(
            "; ".join(patient.problems), "set them as .env.example and the profile of the environment say"
        )
    if patient.unfit_for_production:
        return passed(
            f"complete for {patient.environment}; production would refuse {', '.join(patient.unfit_for_production)}"
        )
    return passed(f"complete and fit for {patient.environment}")


async def keys_open_what_is_kept(patient: Patient) -> Finding:
    """Look whether PII_KEYS has every key that something in the database is wrapped with, and the right ones."""
    cure = "put the missing key back into PII_KEYS: without it these numbers and names cannot be read"
    if patient.keyring is None:
        return not_checked("PII_KEYS does not make a key ring: see the line settings")
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        used = await users.list_key_ids(tx)
        try:
            opened = await crypto.open_stored_keys(tx, patient.keyring)
        except Undecryptable:
            return failed("the service's own keys in the database do not open with it", cure)
    missing = [kid for kid in used if kid not in patient.keyring.ids]
    if missing:
        return failed(f"savers' keys are wrapped with {', '.join(missing)}, which it lacks", cure)
    if opened == 0:
        return passed("it parses; nothing is wrapped with it yet")
    return passed(
        f"it opens the service's {opened} keys, and has all {len(used)} ids that savers' keys are under"
    )


async def webhook_has_keys(patient: Patient) -> Finding:
    """Look whether anything may sign the round-up webhook."""
    if patient.webhook_keys == 0:
        return failed(
            "nothing can sign it, and it answers 503", "set MPESA_WEBHOOK_SECRET or MPESA_WEBHOOK_PUBLIC_KEY"
        )
    return passed(f"{patient.webhook_keys} {'key' if patient.webhook_keys == 1 else 'keys'} may sign it")


async def messages_can_go(patient: Patient) -> Finding:
    """Look whether the gateway of messages answers at all; none is sent."""
    if patient.sms_gateway_url is None:
        return not_checked("SMS_GATEWAY_URL is not set")
    told = await outside.ask(patient.sms_gateway_url)
    if isinstance(told, str):
        return failed(
            f"it does not answer ({told})", "see SMS_GATEWAY_URL and the network; ask the gateway's owner"
        )
    return passed(f"it answers ({told.status}); whether it takes our token, only a message shows")
