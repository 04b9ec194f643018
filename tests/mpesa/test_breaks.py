"""Breaks: one open for a kind and subject, with its age; closed with a reason, by the difference or by a person."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.support.app import Api
from tests.support.savers import new_receipt
from zanari_api.kit.ids import new_id
from zanari_api.mpesa import breaks
from zanari_api.mpesa.break_rows import BreakRow
from zanari_api.mpesa.breaks import BreakKind, Resolved
from zanari_api.runtime.db import Role, Tx

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


async def note(
    api: Api,
    subject: str,
    *,
    kind: BreakKind = BreakKind.MISSING_DEPOSIT,
    cents: int = 100,
    now: datetime = NOON,
) -> UUID:
    async def work(tx: Tx) -> UUID:
        return await breaks.note_break(
            tx,
            kind=kind,
            subject=subject,
            amount_cents=cents,
            suspected_cause=f"because of {cents}",
            command="zanari reconcile",
            now=now,
        )

    return await api.db.unit_of_work(work, role=Role.SYSTEM)


async def close(api: Api, subject: str, *, now: datetime = LATER) -> bool:
    async def work(tx: Tx) -> bool:
        return await breaks.close_break(
            tx, kind=BreakKind.MISSING_DEPOSIT, subject=subject, because="it came", now=now
        )

    return await api.db.unit_of_work(work, role=Role.SYSTEM)


async def resolve(api: Api, break_id: UUID) -> Resolved:
    async def work(tx: Tx) -> Resolved:
        return await breaks.resolve(
            tx, break_id=break_id, evidence="ticket 12", operator="wanjiku", now=LATER
        )

    return await api.db.unit_of_work(work, role=Role.SYSTEM)


async def look(api: Api, break_id: UUID) -> BreakRow:
    async with api.db.transaction(Role.SYSTEM) as tx:
        found = await breaks.lock(tx, break_id=break_id)
    assert found is not None
    return found


def subject() -> str:
    return f"statement:{new_receipt()}"


async def test_seen_again_it_is_the_same_break_with_its_age_and_the_newest_words(api: Api) -> None:
    first = await note(api, about := subject())
    assert await note(api, about, cents=250, now=LATER) == first
    found = await look(api, first)
    assert (found.opened_at, found.last_seen_at) == (NOON, LATER)
    assert (found.amount_cents, found.suspected_cause) == (250, "because of 250")


async def test_of_more_than_anyone_would_list_each_that_is_gone_is_closed(api: Api) -> None:
    kind, prefix = BreakKind.NOT_IN_STATEMENT, f"statement:{new_receipt()}"
    await api.alter(
        "INSERT INTO mpesa.breaks (id, kind, subject, amount_cents, suspected_cause, command, opened_at, last_seen_at)"
        " SELECT gen_random_uuid(), $1, $2 || ':' || n, 1, 'x', 'zanari reconcile', $3, $3"
        "   FROM generate_series(1, $4::int) AS n",
        kind.value,
        prefix,
        NOON,
        breaks.LISTED_MAX + 1,
    )
    last = await note(api, f"{prefix}:last", kind=kind, now=LATER)

    async def look_again(tx: Tx) -> list[UUID]:
        counted = {each.kind: each.open for each in await breaks.count_open(tx)}
        assert counted[kind] >= breaks.LISTED_MAX + 2
        await breaks.close_gone(tx, kind=kind, still_there={f"{prefix}:7"}, because="gone", now=LATER)
        return [each.id for each in await breaks.list_open_of(tx, [kind], subject_prefix=prefix)]

    (left,) = await api.db.unit_of_work(look_again, role=Role.SYSTEM)
    assert (await look(api, left)).subject == f"{prefix}:7"
    assert (await look(api, last)).closed_because == "gone"


async def test_an_older_look_does_not_turn_the_clock_back(api: Api) -> None:
    first = await note(api, about := subject(), now=LATER)
    await note(api, about, now=NOON)
    assert (await look(api, first)).last_seen_at == LATER


async def test_kinds_and_subjects_are_breaks_of_their_own(api: Api) -> None:
    about = subject()
    ids = {
        await note(api, about),
        await note(api, about, kind=BreakKind.AMOUNT_DIFFERS),
        await note(api, subject()),
    }
    assert len(ids) == 3


async def test_noted_at_once_it_is_one(api: Api) -> None:
    about = subject()
    assert len(set(await asyncio.gather(*(note(api, about) for _ in range(8))))) == 1


async def test_closed_it_keeps_its_reason_and_seen_again_it_is_a_new_one(api: Api) -> None:
    first = await note(api, about := subject())
    assert await close(api, about)
    assert not await close(api, about)
    found = await look(api, first)
    assert (found.closed_at, found.closed_because) == (LATER, "it came")
    second = await note(api, about, now=LATER)
    assert second != first
    assert (await look(api, second)).opened_at == LATER


async def test_one_that_closes_before_it_opened_by_another_clock_closes_when_it_opened(api: Api) -> None:
    first = await note(api, about := subject(), now=LATER)
    assert await close(api, about, now=NOON)
    assert (await look(api, first)).closed_at == LATER


async def test_what_is_open_and_what_was_closed_since_is_listed(api: Api) -> None:
    opened, closed = await note(api, subject()), await note(api, about := subject())
    await close(api, about)
    async with api.db.transaction(Role.SYSTEM) as tx:
        listed = {each.id for each in await breaks.list_open(tx)}
        gone = {each.id for each in await breaks.list_closed(tx, since=LATER)}
        later = await breaks.list_closed(tx, since=LATER + timedelta(seconds=1))
    assert opened in listed
    assert closed not in listed
    assert closed in gone
    assert closed not in {each.id for each in later}


async def test_those_of_a_kind_that_are_gone_are_closed_together(api: Api) -> None:
    stays, goes = await note(api, kept := subject()), await note(api, subject())
    other = await note(api, subject(), kind=BreakKind.FEE_UNPOSTED)

    async def work(tx: Tx) -> int:
        return await breaks.close_gone(
            tx, kind=BreakKind.MISSING_DEPOSIT, still_there={kept}, because="gone", now=LATER
        )

    assert await api.db.unit_of_work(work, role=Role.SYSTEM) >= 1
    assert (await look(api, stays)).closed_at is None
    assert (await look(api, goes)).closed_because == "gone"
    assert (await look(api, other)).closed_at is None


async def test_a_person_closes_one_with_evidence_and_it_is_audited(api: Api) -> None:
    found = await note(api, subject())
    assert await resolve(api, found) is Resolved.CLOSED
    assert (await look(api, found)).closed_because == "wanjiku: ticket 12"
    assert await resolve(api, found) is Resolved.CLOSED_BEFORE
    (act,) = await api.rows(
        "SELECT act, operator, reason FROM runtime.audit_log WHERE subject = $1", f"break:{found}"
    )
    assert tuple(act) == ("break_resolved", "wanjiku", "ticket 12")


async def test_what_is_no_break_cannot_be_resolved(api: Api) -> None:
    assert await resolve(api, new_id()) is Resolved.UNKNOWN
