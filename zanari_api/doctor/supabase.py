"""Looks at the Supabase project: its keys for tokens, its clock, the bucket of documents, its backups."""

import re
from typing import Final, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from zanari_api.doctor import outside
from zanari_api.doctor.findings import Finding, failed, not_checked, passed
from zanari_api.doctor.patient import Patient
from zanari_api.runtime import jwks

BUCKET: Final = "kyc-documents"
BUCKET_BYTES: Final = 50 * 1024 * 1024
BUCKET_TYPES: Final = ("image/jpeg", "image/png", "image/gif", "application/pdf")

BUCKET_CURE: Final = f"make {BUCKET} what supabase/config.toml says: supabase seed buckets"

OK: Final = 200
REFUSED: Final = frozenset({401, 403})

PROJECT_HOST: Final = re.compile(r"([a-z0-9]{20})\.supabase\.co")


Document = TypeVar("Document", bound=BaseModel)


class _Bucket(BaseModel):
    """What Storage says of a bucket."""

    public: bool
    file_size_limit: int | None = None
    allowed_mime_types: list[str] | None = None


class _Backups(BaseModel):
    """What the Management API says of a project's backups."""

    pitr_enabled: bool


async def keys_are_there(patient: Patient) -> Finding:
    """Look whether the issuer shows keys that our savers' tokens can be verified with."""
    url = patient.supabase.jwks_url
    if url is None:
        return not_checked("SUPABASE_URL is not set, and no emulator of it is known here")
    told = await outside.ask(url)
    cure = "see SUPABASE_URL and the network; nobody can sign in without these keys"
    if isinstance(told, str):
        return failed(f"its keys cannot be read ({told})", cure)
    if told.status != OK:
        return failed(f"the address of its keys answers {told.status}", cure)
    try:
        usable = jwks.read_keys(told.body)
    except ValueError:
        return failed("what stands at the address of its keys is no key set", cure)
    if not usable:
        return failed(
            "it shows no key for ES256 or RS256",
            "let the project sign tokens with an asymmetric key (JWT Keys)",
        )
    return passed(f"{len(usable)} usable {'key' if len(usable) == 1 else 'keys'}")


async def clock_is_right(patient: Patient) -> Finding:
    """Look how far Supabase's clock is from ours: tokens are valid from and until times of it."""
    url = patient.supabase.jwks_url
    if url is None:
        return not_checked("SUPABASE_URL is not set, and no emulator of it is known here")
    return outside.clock_of(await outside.ask(url))


async def bucket_is_private(patient: Patient) -> Finding:
    """Look whether the bucket of identity documents is private and takes what supabase/config.toml says."""
    supabase = patient.supabase
    if supabase.url is None:
        return not_checked("SUPABASE_URL is not set: the emulator has no Storage")
    if supabase.service_key is None:
        return not_checked("SUPABASE_SERVICE_KEY is not set, without which Storage does not tell")
    told = await outside.ask(
        f"{supabase.url.rstrip('/')}/storage/v1/bucket/{BUCKET}",
        headers={"apikey": supabase.service_key, "Authorization": f"Bearer {supabase.service_key}"},
    )
    bucket = _read(
        told,
        _Bucket,
        who="Storage",
        key="SUPABASE_SERVICE_KEY",
        absent=f"the bucket {BUCKET} is not there, or the key is of another project",
    )
    if isinstance(bucket, Finding):
        return bucket
    wrong = _wrong(bucket)
    if wrong:
        return failed("; ".join(wrong), BUCKET_CURE)
    return passed("private, 50 MiB at most, images and PDF alone")


def _wrong(bucket: _Bucket) -> list[str]:
    wrong: list[str] = []
    if bucket.public:
        wrong.append(f"{BUCKET} is PUBLIC: anyone reads people's documents")
    if bucket.file_size_limit != BUCKET_BYTES:
        wrong.append(f"{BUCKET} takes files of {bucket.file_size_limit or 'any'} bytes, not {BUCKET_BYTES}")
    if sorted(bucket.allowed_mime_types or ()) != sorted(BUCKET_TYPES):
        wrong.append(f"{BUCKET} takes {', '.join(bucket.allowed_mime_types or ['any type'])}")
    return wrong


async def backups_go_to_any_moment(patient: Patient) -> Finding:
    """Look whether backups can be restored to any moment. SQL does not show it, the Management API does."""
    supabase = patient.supabase
    project = PROJECT_HOST.fullmatch(urlsplit(supabase.url or "").hostname or "")
    if project is None:
        return not_checked(
            "SUPABASE_URL is not that of a project of supabase.com: ask whoever runs the database"
        )
    if supabase.access_token is None:
        return not_checked("SUPABASE_ACCESS_TOKEN is not set; the dashboard shows it under Database, Backups")
    told = await outside.ask(
        f"{supabase.management_url}/v1/projects/{project[1]}/database/backups",
        headers={"Authorization": f"Bearer {supabase.access_token}"},
    )
    backups = _read(
        told,
        _Backups,
        who="the Management API",
        key="SUPABASE_ACCESS_TOKEN",
        absent="it knows no such project",
    )
    if isinstance(backups, Finding):
        return backups
    if not backups.pitr_enabled:
        return failed(
            "point-in-time recovery is off", "turn it on (Database, Backups): a day's savings may be lost"
        )
    return passed("point-in-time recovery is on; that a restore works, only a rehearsal shows")


def _read(
    told: outside.Told | str, model: type[Document], *, who: str, key: str, absent: str
) -> Document | Finding:
    """Return the document that was answered, or the failure that the answer is."""
    if isinstance(told, str):
        return failed(f"{who} does not answer ({told})", "see SUPABASE_URL and the network")
    if told.status in REFUSED:
        return failed(f"{who} refuses the key ({told.status})", f"see {key}")
    if told.status != OK:
        # Storage answers 400 for a bucket that is not there, whatever HTTP has for that.
        return failed(f"{who}: {absent} ({told.status})", BUCKET_CURE if model is _Bucket else f"see {key}")
    try:
        return model.model_validate_json(told.body)
    except ValidationError:
        return failed(f"what {who} answers cannot be read", "tell the developers: its API has changed")
