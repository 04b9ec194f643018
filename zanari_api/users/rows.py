"""A saver as stored, the one row that other slices may hold. States no SQL and changes nothing."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SaverRow:
    """A saver as stored: names still encrypted, the data key still wrapped."""

    saver_id: UUID
    member_code: str
    first_name: bytes | None
    last_name: bytes | None
    kyc_tier: int
    wallet_account_id: UUID
    data_key: bytes
    created_at: datetime
