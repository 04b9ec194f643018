"""One access token for all processes: asked for once, shared, and renewed by whoever finds it refused."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support import daraja_server as wire
from tests.support import postgres
from tests.support.daraja_bench import Bench, ShiftedClock
from tests.support.daraja_calls import EVERY, PAYMENT, PUSH
from tests.support.daraja_server import Told, error
from tests.support.observed import Written
from zanari_api.daraja import queries, session
from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.errors import DarajaUnavailable, Hindrance, Operation
from zanari_api.daraja.refusals import INVALID_TOKEN_CODES
from zanari_api.daraja.tokens import POLL
from zanari_api.kit.clock import utc_now
from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Database, Role


def asked(bench: Bench) -> int:
    return len(bench.safaricom.calls(wire.OAUTH))


async def row_id(client: DarajaClient) -> UUID:
    return await client._session._tokens._token_id()


async def leased(client: DarajaClient, database: postgres.Database) -> bool:
    """Say whether anybody holds the right to ask."""
    async with database.connected("supabase_admin") as connection:
        return await connection.fetchval(
            "SELECT lease_id IS NOT NULL FROM runtime.daraja_tokens WHERE id = $1", await row_id(client)
        )


async def test_it_is_asked_for_with_the_apps_key_and_secret(bench: Bench, client: DarajaClient) -> None:
    await client.stk_push(PUSH)
    [request] = bench.safaricom.calls(wire.OAUTH)
    assert (request.verb, request.body) == ("GET", {})
    assert request.authorization == client._session._basic
    assert request.authorization.startswith("Basic ")


async def test_two_processes_that_start_at_once_ask_once_between_them(bench: Bench) -> None:
    clients = [await bench.client() for _ in range(3)]
    await asyncio.gather(*(each.stk_push(PUSH) for each in clients for _ in range(10)))
    assert asked(bench) == 1
    assert len(bench.safaricom.calls(wire.STK)) == 30


async def test_a_process_that_starts_later_finds_it(bench: Bench, client: DarajaClient) -> None:
    await client.stk_push(PUSH)
    later = await bench.client()
    await later.b2c(PAYMENT)
    assert asked(bench) == 1


@pytest.mark.parametrize("code", sorted(INVALID_TOKEN_CODES))
@pytest.mark.parametrize("path", EVERY)
async def test_a_refused_token_is_renewed_once_and_the_request_sent_again(
    bench: Bench, client: DarajaClient, path: str, code: str
) -> None:
    await EVERY[path](client)
    bench.safaricom.forget_tokens()
    bench.safaricom.invalid_token = error(code, f"Invalid Access Token - {bench.safaricom.tokens[0]}", 404)
    await EVERY[path](client)
    assert (asked(bench), len(bench.safaricom.calls(path))) == (2, 3)


async def test_a_token_that_two_processes_find_refused_is_renewed_by_one_of_them(bench: Bench) -> None:
    clients = [await bench.client() for _ in range(2)]
    await asyncio.gather(*(each.stk_push(PUSH) for each in clients))
    bench.safaricom.forget_tokens()
    await asyncio.gather(*(each.stk_push(PUSH) for each in clients for _ in range(10)))
    assert asked(bench) == 2


async def test_a_token_is_renewed_at_will_though_the_one_at_hand_is_good(
    bench: Bench, client: DarajaClient
) -> None:
    first = await client.renew_token()
    assert await client.renew_token() >= first
    assert asked(bench) == 2
    await client.stk_push(PUSH)
    assert asked(bench) == 2
    # Whoever comes with another connection finds the new one as well.
    await (await bench.client()).stk_push(PUSH)
    assert asked(bench) == 2


async def test_a_token_that_another_process_renewed_is_taken_over(bench: Bench, client: DarajaClient) -> None:
    other = await bench.client()
    await asyncio.gather(client.stk_push(PUSH), other.stk_push(PUSH))
    bench.safaricom.forget_tokens()
    await other.stk_push(PUSH)
    await client.stk_push(PUSH)
    assert asked(bench) == 2


async def test_a_token_that_is_refused_again_is_not_tried_for_ever(
    bench: Bench, client: DarajaClient
) -> None:
    bench.safaricom.will(wire.B2C, *[error("401.002.01", "Invalid Access Token", 401)] * 2)
    with pytest.raises(DarajaUnavailable) as unavailable:
        await client.b2c(PAYMENT)
    assert unavailable.value.cause is Hindrance.NO_TOKEN
    assert (asked(bench), len(bench.safaricom.calls(wire.B2C))) == (2, 2)


@pytest.mark.parametrize("expires_in", [3599, "3599", 3599.0])
async def test_it_is_used_until_a_minute_before_it_ends(
    bench: Bench, client: DarajaClient, expires_in: object
) -> None:
    bench.safaricom.expires_in = expires_in
    await client.stk_push(PUSH)
    bench.clock.ahead = timedelta(seconds=3530)
    await client.stk_push(PUSH)
    assert asked(bench) == 1
    bench.clock.ahead = timedelta(seconds=3540)
    await client.stk_push(PUSH)
    assert asked(bench) == 2


async def test_of_a_short_life_nine_tenths_are_used(bench: Bench, client: DarajaClient) -> None:
    bench.safaricom.expires_in = 100
    await client.stk_push(PUSH)
    bench.clock.ahead = timedelta(seconds=80)
    await client.stk_push(PUSH)
    assert asked(bench) == 1
    bench.clock.ahead = timedelta(seconds=91)
    await client.stk_push(PUSH)
    assert asked(bench) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"<html>",
        b'{"access_token": "a b", "expires_in": 3599}',
        b'{"access_token": "a\\nb", "expires_in": 3599}',
        b'{"access_token": "abc", "expires_in": "soon"}',
        b'{"access_token": "abc"}',
        b'{"access_token": null, "expires_in": 3599}',
    ],
)
async def test_what_is_no_token_is_asked_for_again_and_then_given_up(
    bench: Bench, client: DarajaClient, body: bytes
) -> None:
    bench.safaricom.will(wire.OAUTH, *[Told(body=body)] * 3)
    with pytest.raises(DarajaUnavailable) as unavailable:
        await client.stk_push(PUSH)
    assert (unavailable.value.operation, unavailable.value.cause) == (
        Operation.STK_PUSH,
        Hindrance.NO_TOKEN,
    )
    assert (asked(bench), bench.safaricom.calls(wire.STK)) == (3, [])


async def test_a_fault_while_asking_is_got_over(bench: Bench, client: DarajaClient) -> None:
    bench.safaricom.will(wire.OAUTH, Told(status=500), Told(cut=True))
    await client.stk_push(PUSH)
    assert asked(bench) == 3


async def test_wrong_credentials_are_not_tried_again(
    bench: Bench, client: DarajaClient, database: postgres.Database
) -> None:
    bench.safaricom.will(wire.OAUTH, error("400.008.01", "Bad Request - invalid credentials", 400))
    with pytest.raises(DarajaUnavailable):
        await client.stk_push(PUSH)
    assert asked(bench) == 1
    assert not await leased(client, database)
    await client.stk_push(PUSH)
    assert asked(bench) == 2


async def test_without_the_database_nothing_is_sent(bench: Bench, database: postgres.Database) -> None:
    client = await bench.client(Database(database.service_dsn))
    with pytest.raises(DarajaUnavailable) as unavailable:
        await client.stk_push(PUSH)
    assert unavailable.value.cause is Hindrance.NO_TOKEN
    assert bench.safaricom.received == []


async def test_a_token_cannot_be_renewed_without_the_database(
    bench: Bench, database: postgres.Database
) -> None:
    lonely = await bench.client(Database(database.service_dsn))
    with pytest.raises(DarajaUnavailable) as failed:
        await lonely.renew_token()
    assert failed.value.cause is Hindrance.NO_TOKEN
    assert asked(bench) == 0


async def test_a_token_in_memory_outlives_the_database(bench: Bench) -> None:
    database = await bench.database()
    client = await bench.client(database)
    await client.stk_push(PUSH)
    await database.close()
    await client.stk_push(PUSH)
    assert len(bench.safaricom.calls(wire.STK)) == 2


async def test_it_lies_in_the_database_sealed_and_its_app_unnamed(
    bench: Bench, client: DarajaClient, database: postgres.Database
) -> None:
    await client.stk_push(PUSH)
    async with database.connected("supabase_admin") as connection:
        row = await connection.fetchrow(
            "SELECT t::text AS written, t.sealed_token FROM runtime.daraja_tokens AS t WHERE t.id = $1",
            await row_id(client),
        )
    assert row is not None
    assert bench.safaricom.tokens[0].encode() not in row["sealed_token"]
    assert bench.consumer_key not in row["written"]


async def test_a_lease_whose_holder_died_is_waited_for_and_taken_over(
    bench: Bench, client: DarajaClient
) -> None:
    database = await bench.database()
    token_id, now = await row_id(client), bench.clock.now()
    async with database.transaction(Role.SYSTEM) as tx:
        claimed = await queries.claim_lease(
            tx, token_id=token_id, lease_id=new_id(), generation=0, now=now, until=now + timedelta(hours=1)
        )
    assert claimed
    waiting = asyncio.create_task(client.stk_push(PUSH))
    await asyncio.sleep(0.3)
    assert asked(bench) == 0
    bench.clock.ahead = timedelta(hours=2)
    await waiting
    assert asked(bench) == 1


async def test_a_lease_that_never_ends_is_not_waited_for_for_ever(bench: Bench) -> None:
    class Hurried(ShiftedClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(0)

    bench.clock = Hurried()
    client = await bench.client()
    database = await bench.database()
    token_id, now = await row_id(client), utc_now()
    async with database.transaction(Role.SYSTEM) as tx:
        await queries.claim_lease(
            tx, token_id=token_id, lease_id=new_id(), generation=0, now=now, until=now + timedelta(hours=1)
        )
    with pytest.raises(DarajaUnavailable) as unavailable:
        await client.stk_push(PUSH)
    assert unavailable.value.cause is Hindrance.NO_TOKEN
    assert bench.safaricom.received == []


async def test_who_lost_the_lease_while_asking_stores_nothing_and_takes_what_is_there(
    bench: Bench, written: Written
) -> None:
    slow, quick = await bench.client(), await bench.client()
    bench.safaricom.will(wire.OAUTH, Told(body=b'{"access_token": "late", "expires_in": 3599}', delay_s=0.5))
    delayed = asyncio.create_task(slow.stk_push(PUSH))
    while not asked(bench):  # noqa: ASYNC110 (the other side tells nobody)
        await asyncio.sleep(0.01)
    bench.clock.ahead = timedelta(minutes=5)
    await quick.stk_push(PUSH)
    await delayed
    assert asked(bench) == 2
    assert {call.authorization for call in bench.safaricom.calls(wire.STK)} == {
        f"Bearer {bench.safaricom.tokens[-1]}"
    }
    assert len(written.events("daraja_token_lease_lost")) == 1


async def test_a_token_that_cannot_be_opened_is_asked_for_anew(
    bench: Bench, client: DarajaClient, database: postgres.Database, written: Written
) -> None:
    await client.stk_push(PUSH)
    async with database.connected("supabase_admin") as connection:
        await connection.execute(
            "UPDATE runtime.daraja_tokens SET sealed_token = 'spoilt' WHERE id = $1", await row_id(client)
        )
    other = await bench.client()
    await other.stk_push(PUSH)
    assert asked(bench) == 2
    assert len(written.events("daraja_token_unreadable")) == 1


async def test_a_caller_that_gives_up_leaves_the_lease_to_the_next(
    bench: Bench, client: DarajaClient, database: postgres.Database
) -> None:
    bench.safaricom.will(wire.OAUTH, Told(delay_s=0.6))
    waiting = asyncio.create_task(client.stk_push(PUSH))
    while not asked(bench):  # noqa: ASYNC110 (the other side tells nobody)
        await asyncio.sleep(0.01)
    assert await leased(client, database)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not await leased(client, database)
    await (await bench.client()).stk_push(PUSH)
    assert asked(bench) == 2


async def test_two_apps_and_two_hosts_have_each_their_own(bench: Bench, client: DarajaClient) -> None:
    other_app = await bench.client(consumer_key="another app")
    other_host = await bench.client(base_url=bench.safaricom.url.replace("127.0.0.1", "localhost"))
    ids = {await row_id(each) for each in (client, other_app, other_host)}
    assert len(ids) == 3


async def test_no_transaction_is_open_while_safaricom_is_asked(
    bench: Bench, client: DarajaClient, database: postgres.Database
) -> None:
    bench.safaricom.will(wire.OAUTH, Told(body=b'{"access_token": "x", "expires_in": 3599}', delay_s=0.4))
    waiting = asyncio.create_task(client.stk_push(PUSH))
    while not asked(bench):  # noqa: ASYNC110 (the other side tells nobody)
        await asyncio.sleep(0.01)
    async with database.connected("supabase_admin") as connection:
        open_ones = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%'"
        )
    assert open_ones == 0
    await waiting


@pytest.mark.parametrize(
    "changes",
    [{}, {"read_timeout_s": 60.0}, {"connect_timeout_s": 30.0}, {"limiter_wait": timedelta(minutes=2)}],
)
async def test_a_lease_outlasts_the_longest_asking_and_is_itself_outwaited(
    bench: Bench, changes: dict[str, Any]
) -> None:
    config = bench.config(**changes)
    one_attempt = config.limiter_wait.total_seconds() + 2 * config.connect_timeout_s + config.read_timeout_s
    last_begins = session.ATTEMPTS_TIMEOUT_S + session.LONGEST_WAIT_S
    tokens = (await bench.client(**changes))._session._tokens
    assert tokens.lease.total_seconds() > last_begins + one_attempt
    assert tokens.polls_max * POLL > tokens.lease
