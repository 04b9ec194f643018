"""What somebody with the rights of a superuser does to the books behind every guard. Asserts nothing."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from zanari_api.ledger.verifying import Fault


@dataclass(frozen=True, slots=True)
class Target:
    """A sealed row: where it is in the chain, and what it is on."""

    seq: int
    kind: str
    subject_id: UUID

    def fill(self, text: str) -> str:
        """Write this row's values into a statement, or a subject."""
        return text.format(seq=self.seq, kind=self.kind, subject_id=self.subject_id)


@dataclass(frozen=True, slots=True)
class Tampering:
    """One way to tamper with a row. `names` is the subject that has to be named first, by the target's fields."""

    sql: str
    fault: Fault
    names: str
    of: str = "transfer"
    """Which kind of row it can be done to."""


SUBJECT: Final = "{kind}:{subject_id}"
SEAL: Final = "seal:{seq}"
THIS: Final = "'{subject_id}'"

TAMPERINGS: Final = {
    "an amount is edited": Tampering(
        "UPDATE ledger.entries SET amount_cents = amount_cents + 1, account_current_cents = account_current_cents + 1"
        f" WHERE id = (SELECT min(e.id) FROM ledger.entries AS e WHERE e.transfer_id = {THIS})",
        Fault.EDITED,
        SUBJECT,
    ),
    "amounts are edited so that they still sum to zero": Tampering(
        "ALTER TABLE ledger.entries DROP CONSTRAINT IF EXISTS entries_current_adds_up;"
        f"UPDATE ledger.entries SET amount_cents = 2 * amount_cents WHERE transfer_id = {THIS}",
        Fault.EDITED,
        SUBJECT,
    ),
    "an entry goes to another account": Tampering(
        "UPDATE ledger.entries SET account_id = '00000000-0000-8000-8000-000000000003', account_version = NULL,"
        " account_previous_cents = NULL, account_current_cents = NULL"
        f" WHERE id = (SELECT max(e.id) FROM ledger.entries AS e WHERE e.transfer_id = {THIS})",
        Fault.EDITED,
        SUBJECT,
    ),
    "a time is edited": Tampering(
        f"UPDATE ledger.transfers SET event_at = event_at - interval '1 microsecond' WHERE id = {THIS}",
        Fault.EDITED,
        SUBJECT,
    ),
    "the time of posting is edited to no time": Tampering(
        f"UPDATE ledger.transfers SET posted_at = '-infinity' WHERE id = {THIS}", Fault.EDITED, SUBJECT
    ),
    "a key is edited": Tampering(
        f"UPDATE ledger.transfers SET key = 'x' || key WHERE id = {THIS}", Fault.EDITED, SUBJECT
    ),
    "metadata is edited": Tampering(
        f"UPDATE ledger.transfers SET metadata = '{{{{\"a\": 1}}}}' WHERE id = {THIS}", Fault.EDITED, SUBJECT
    ),
    "an entry is added to a sealed transfer": Tampering(
        "INSERT INTO ledger.entries (transfer_id, account_id, amount_cents)"
        f" VALUES ({THIS}, '00000000-0000-8000-8000-000000000001', 5)",
        Fault.EDITED,
        SUBJECT,
    ),
    "an entry is removed": Tampering(
        "DELETE FROM ledger.entries"
        f" WHERE id = (SELECT min(e.id) FROM ledger.entries AS e WHERE e.transfer_id = {THIS})",
        Fault.EDITED,
        SUBJECT,
    ),
    "a whole transfer is deleted": Tampering(
        f"DELETE FROM ledger.entries WHERE transfer_id = {THIS}; DELETE FROM ledger.transfers WHERE id = {THIS}",
        Fault.DELETED,
        SUBJECT,
    ),
    "a transfer and its seal are deleted": Tampering(
        f"DELETE FROM ledger.entries WHERE transfer_id = {THIS}; DELETE FROM ledger.transfers WHERE id = {THIS};"
        "DELETE FROM ledger.seals WHERE seq = {seq}",
        Fault.DELETED,
        SEAL,
    ),
    "a seal is deleted": Tampering("DELETE FROM ledger.seals WHERE seq = {seq}", Fault.DELETED, SEAL),
    "a seal's digest is edited": Tampering(
        "UPDATE ledger.seals SET digest = sha256(digest) WHERE seq = {seq}", Fault.FORGED, SEAL
    ),
    "a seal's hash is edited": Tampering(
        "UPDATE ledger.seals SET hash = sha256(hash) WHERE seq = {seq}", Fault.FORGED, SEAL
    ),
    "a seal's time is edited": Tampering(
        "UPDATE ledger.seals SET sealed_at = sealed_at - interval '1 day' WHERE seq = {seq}",
        Fault.FORGED,
        SEAL,
    ),
    "a seal is put in and the later ones move up": Tampering(
        "ALTER TABLE ledger.seals DROP CONSTRAINT IF EXISTS seals_pkey;"
        "UPDATE ledger.seals SET seq = seq + 1 WHERE seq >= {seq};"
        "INSERT INTO ledger.seals SELECT {seq}, sealed_at, gen_random_uuid(), kind, digest, hash"
        " FROM ledger.seals WHERE seq = {seq} + 1",
        Fault.FORGED,
        SEAL,
    ),
    "a transfer is put in as of the past": Tampering(
        "WITH past AS (SELECT t.xact FROM ledger.transfers AS t WHERE t.id = " + THIS + "),"
        " put AS (INSERT INTO ledger.transfers (id, key, kind, event_at, xact)"
        " SELECT '11111111-1111-7111-8111-111111111111', 'forged:1', 'deposit', now(), past.xact FROM past"
        " RETURNING id, xact)"
        " INSERT INTO ledger.entries (transfer_id, account_id, amount_cents, xact)"
        " SELECT put.id, a.id::uuid, a.cents, put.xact FROM put CROSS JOIN (VALUES"
        " ('00000000-0000-8000-8000-000000000001', -5), ('00000000-0000-8000-8000-000000000003', 5)) AS a (id, cents)",
        Fault.INSERTED,
        "transfer:11111111-1111-7111-8111-111111111111",
    ),
    "a transfer is put in as of a transaction that is yet to come": Tampering(
        "INSERT INTO ledger.transfers (id, key, kind, event_at, xact)"
        " VALUES ('22222222-2222-7222-8222-222222222222', 'forged:2', 'deposit', now(), '9999999999')",
        Fault.INSERTED,
        "transfer:22222222-2222-7222-8222-222222222222",
    ),
    "an account is given to another saver": Tampering(
        "ALTER TABLE ledger.balances DROP CONSTRAINT IF EXISTS balances_account_matches;"
        "UPDATE ledger.accounts SET saver_id = gen_random_uuid() WHERE id ="
        f" (SELECT max(e.account_id::text)::uuid FROM ledger.entries AS e WHERE e.transfer_id = {THIS}"
        " AND e.account_version = 1)",
        Fault.EDITED,
        SUBJECT,
        of="first transfer of a saver",
    ),
    "an act is edited": Tampering(
        f"UPDATE runtime.audit_log SET operator = 'somebody else' WHERE id = {THIS}",
        Fault.EDITED,
        SUBJECT,
        of="act",
    ),
    "an act is deleted": Tampering(
        f"DELETE FROM runtime.audit_log WHERE id = {THIS}", Fault.DELETED, SUBJECT, of="act"
    ),
    "an act is put in as of the past": Tampering(
        "INSERT INTO runtime.audit_log (id, operator, act, subject, reason, before, after, xact)"
        " SELECT '33333333-3333-7333-8333-333333333333', operator, act, subject, reason, before, after, xact"
        f" FROM runtime.audit_log WHERE id = {THIS}",
        Fault.INSERTED,
        "act:33333333-3333-7333-8333-333333333333",
        of="act",
    ),
}
"""Each is done with every trigger off."""
