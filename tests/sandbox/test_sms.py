"""The emulated gateway: takes what a real one would, brings each message to its handset once, and shows it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from zanari_api.sandbox.sms import PATH, TOKEN, SmsEmulator, SmsFault

MESSAGE = {"id": "7", "to": "+254712345126", "text": "Zanari: hello."}


@pytest.fixture
def emulator() -> SmsEmulator:
    return SmsEmulator()


@pytest.fixture
async def client(emulator: SmsEmulator) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(emulator.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://sms.test") as made:
        yield made


async def post(
    client: httpx.AsyncClient, message: object = MESSAGE, *, token: str = TOKEN, key: str = "7"
) -> int:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    return (await client.post(PATH, json=message, headers=headers)).status_code


async def listed(client: httpx.AsyncClient, **query: object) -> list[str]:
    return [each["text"] for each in (await client.get(PATH, params=query)).json()]


async def test_the_same_id_reaches_a_handset_once(client: httpx.AsyncClient, emulator: SmsEmulator) -> None:
    assert [await post(client), await post(client)] == [202, 202]
    assert emulator.received_by("254712345126") == ["Zanari: hello."]
    assert list(emulator.requests) == ["7", "7"]


@pytest.mark.parametrize(
    ("message", "token", "key", "status"),
    [
        (MESSAGE, "another", "7", 401),
        (MESSAGE, TOKEN, "8", 400),
        ({"id": "7", "to": "+254712345126"}, TOKEN, "7", 400),
        ([], TOKEN, "7", 400),
    ],
)
async def test_what_a_gateway_would_not_take_reaches_nobody(
    client: httpx.AsyncClient, emulator: SmsEmulator, message: object, token: str, key: str, status: int
) -> None:
    assert await post(client, message, token=token, key=key) == status
    assert not emulator.messages


async def test_a_fault_is_the_next_requests_alone(client: httpx.AsyncClient, emulator: SmsEmulator) -> None:
    emulator.faults.extend([SmsFault.AWAY, SmsFault.REFUSE])
    assert [await post(client) for _ in range(3)] == [503, 422, 202]
    assert len(emulator.messages) == 1


async def test_the_newest_are_shown_oldest_first_and_one_handsets_alone(client: httpx.AsyncClient) -> None:
    for number in range(1, 5):
        one = {"id": str(number), "to": f"+25471234512{number % 2}", "text": f"no. {number}"}
        assert await post(client, one, key=str(number)) == 202
    assert await listed(client) == ["no. 1", "no. 2", "no. 3", "no. 4"]
    assert await listed(client, last=2) == ["no. 3", "no. 4"]
    assert await listed(client, last=0) == []
    assert await listed(client, to="+254712345121") == ["no. 1", "no. 3"]
    assert (await client.get(PATH, params={"last": "all"})).status_code == 400
