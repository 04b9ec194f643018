"""Looks at Safaricom: reached, its clock, our token, certificate and password, and the address it calls us at."""

import json
from datetime import timedelta
from typing import Final

from zanari_api.daraja.config import check_callback_url
from zanari_api.daraja.credential import expires_at
from zanari_api.daraja.errors import DarajaError, DarajaRefused
from zanari_api.doctor import outside
from zanari_api.doctor.findings import Finding, failed, not_checked, passed
from zanari_api.doctor.patient import Patient
from zanari_api.kit.clock import EAT, eat_date

OK: Final = 200
EXPIRES_SOON: Final = timedelta(days=14)
PASSWORD_LIVES: Final = timedelta(days=90)


async def is_reached(patient: Patient) -> Finding:
    """Look whether Safaricom's host answers at all, whatever it says."""
    told = await outside.ask(patient.safaricom.base_url)
    if isinstance(told, str):
        return failed(
            f"it does not answer ({told})",
            "see the network, MPESA_ENVIRONMENT, MPESA_BASE_URL; ask Safaricom",
        )
    return passed(f"it answers ({told.status})")


async def clock_is_right(patient: Patient) -> Finding:
    """Look how far Safaricom's clock is from ours: prompts are signed with the time."""
    return outside.clock_of(await outside.ask(patient.safaricom.base_url))


async def token_is_given(patient: Patient) -> Finding:
    """Look whether there is an access token, as every call does: the shared one is not ended by this."""
    client = patient.safaricom.client
    if client is None:
        return not_checked("the variables do not make a client: see the line settings")
    try:
        until = await client.token_until()
    except DarajaRefused as error:
        return failed(
            f"it gives none ({error})", "see MPESA_CONSUMER_KEY, MPESA_CONSUMER_SECRET and MPESA_ENVIRONMENT"
        )
    except DarajaError as error:
        return failed(
            f"there is none ({error})",
            "see the line daraja; then MPESA_CONSUMER_KEY and MPESA_CONSUMER_SECRET",
        )
    return passed(
        f"one is held until {until.astimezone(EAT):%H:%M:%S} (EAT); `zanari daraja check` asks for another"
    )


async def calls_come_back(patient: Patient) -> Finding:
    """Look whether Safaricom would take our address, and whether it leads to this service, as seen from here."""
    url = patient.safaricom.callback_base_url
    if url is None:
        return not_checked("MPESA_CALLBACK_BASE_URL is not set")
    try:
        check_callback_url(url, production=patient.safaricom.is_production)
    except ValueError as refused:
        return failed(f"MPESA_CALLBACK_BASE_URL {refused}", "take another host or path for callbacks")
    told = await outside.ask(f"{url.rstrip('/')}/health")
    if isinstance(told, str):
        return failed(
            f"it does not lead here ({told})", "see DNS, the load balancer, the certificate, `zanari serve`"
        )
    if told.status != OK or not _is_ours(told.body):
        return failed(
            f"something else answers there ({told.status})", "let MPESA_CALLBACK_BASE_URL lead to the API"
        )
    scheme = "https" if url.lower().startswith("https:") else "http, for rehearsals alone"
    return passed(f"the API answers there ({scheme}); seen from here, which is not from Safaricom")


def _is_ours(body: bytes) -> bool:
    try:
        return json.loads(body).get("status") == "healthy"
    except (ValueError, AttributeError):
        return False


async def certificate_is_valid(patient: Patient) -> Finding:
    """Look whether Safaricom's certificate can be used, and for how long yet."""
    written = patient.safaricom.certificate
    if written is None:
        return not_checked("MPESA_CERTIFICATE is not set")
    cure = (
        "take the present one of MPESA_ENVIRONMENT from the Daraja portal into MPESA_CERTIFICATE, and restart"
    )
    try:
        ends = expires_at(written)
    except ValueError as unreadable:
        return failed(f"MPESA_CERTIFICATE {unreadable}", cure)
    now = patient.clock.now()
    if ends <= now:
        return failed(f"it EXPIRED on {ends:%Y-%m-%d}: payouts, questions and reversals fail", cure)
    if ends - now < EXPIRES_SOON:
        return failed(f"it expires on {ends:%Y-%m-%d}, in {(ends - now).days} days", cure)
    return passed(f"valid until {ends:%Y-%m-%d}, {(ends - now).days} days")


async def password_is_young(patient: Patient) -> Finding:
    """Look how long the initiator's password lives yet, by the day an operator wrote down."""
    set_on = patient.safaricom.initiator_password_set_on
    if set_on is None:
        return not_checked(
            "MPESA_INITIATOR_PASSWORD_SET_ON is not set: nobody wrote down when it was changed"
        )
    cure = "change it in the M-PESA portal, then MPESA_INITIATOR_PASSWORD and MPESA_INITIATOR_PASSWORD_SET_ON"
    today = eat_date(patient.clock.now())
    left = set_on + PASSWORD_LIVES - today
    if set_on > today:
        return failed("MPESA_INITIATOR_PASSWORD_SET_ON lies ahead", "write the day on which it was changed")
    if left <= timedelta(0):
        return failed(
            f"it EXPIRED {-left.days} days ago: payouts fail, and wrong tries lock the initiator", cure
        )
    if left < EXPIRES_SOON:
        return failed(f"it expires in {left.days} days", cure)
    return passed(f"{left.days} days left of {PASSWORD_LIVES.days}")
