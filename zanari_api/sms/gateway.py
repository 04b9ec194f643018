"""Hands text messages to a gateway over HTTP, each under an id that it tells sendings apart by. Keeps and logs none.

The gateway may have taken a message on although its answer never came, so a message is sent again under the same id:
a gateway that heeds Idempotency-Key sends it to the handset once, and with any other it comes twice rather than never.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import httpx

from zanari_api.runtime import trust

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 10
EXCHANGE_TIMEOUT_S: Final = 15
"""For all of one exchange: an answer that trickles in keeps each read short and never ends."""

CONNECTIONS_MAX: Final = 4

REFUSALS: Final = frozenset({400, 410, 422})
"""Statuses that speak of the message. All others may be of our token, our bill or the moment: it is sent again."""


class GatewayRefused(Exception):  # noqa: N818 (says what the gateway did)
    """The gateway will not have this message, now or later: its number or its text is wrong to it."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"HTTP {status}")


class GatewayUnavailable(Exception):  # noqa: N818 (says what is known)
    """The gateway said no yes: the message may be taken on or not, and is to be sent again under its id."""


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A message to one handset. `msisdn` has 12 digits, no plus."""

    id: UUID
    msisdn: str = field(repr=False)
    text: str = field(repr=False)


class SmsGateway:
    """One gateway, as one address that messages are posted to with a bearer token."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}"},
            verify=trust.authorities(),
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            # A redirect would take the token and the number somewhere else.
            follow_redirects=False,
        )

    async def send(self, message: TextMessage) -> None:
        """Have the gateway take a message on. Raises GatewayRefused, GatewayUnavailable."""
        try:
            async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
                response = await self._http.post(
                    self._url,
                    json={"id": str(message.id), "to": f"+{message.msisdn}", "text": message.text},
                    headers={"Idempotency-Key": str(message.id)},
                )
        except (httpx.HTTPError, TimeoutError) as error:
            raise GatewayUnavailable(type(error).__name__) from error
        if response.is_success:
            return
        if response.status_code in REFUSALS:
            raise GatewayRefused(response.status_code)
        raise GatewayUnavailable(f"HTTP {response.status_code}")

    async def close(self) -> None:
        await self._http.aclose()
