"""Measures the signed webhook against a plain read of the same service: ratios, and where they come from.

    python benchmarks/webhook.py [--spends 2000] [--clients 16] [--savers 200]

Starts an embedded Postgres (fsync on) in a temporary directory and one API process on loopback, makes savers with
money, then sends signed spends from many clients at once. Everything it starts ends with it.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import uvloop

from zanari_api.mpesa.signature import sign
from zanari_api.sandbox import secrets
from zanari_api.sandbox.auth import TokenMint
from zanari_api.sandbox.demo import spend_body
from zanari_api.serving import DEVELOPMENT_SHORTCODE, EMULATED_ISSUER, HOME


async def send_all(port: int, count: int, clients: int, request: Callable[[int], bytes]) -> list[float]:
    """Send `count` requests over `clients` kept-alive connections; return each one's seconds."""
    took: list[float] = []
    numbers = iter(range(count))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(StopIteration):
            while True:
                wire = request(next(numbers))
                started = time.perf_counter()
                writer.write(wire)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                took.append(time.perf_counter() - started)
                if not head.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError((head + body).decode())
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return took


def wire(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def measure(name: str, count: int, send: Coroutine[None, None, list[float]]) -> float:
    """Print and return requests a second."""
    started = time.perf_counter()
    took = sorted(await send)
    rate = count / (time.perf_counter() - started)
    p50, p99 = statistics.median(took) * 1000, took[int(len(took) * 0.99)] * 1000
    print(f"{name:<34} {rate:8.0f}/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")
    return rate


async def run(port: int, home: Path, *, spends: int, clients: int, savers: int) -> None:
    made = secrets.load_or_make(home)
    mint = TokenMint(home, issuer=EMULATED_ISSUER)
    base = f"http://127.0.0.1:{port}"
    phones = [f"2547{number:08d}" for number in range(savers)]
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        for number, phone in enumerate(phones):
            token = mint.mint(f"00000000-0000-7000-8000-{number:012d}", phone)
            profile = (
                await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
            ).json()
            stamp = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
            body = {"TransID": f"BENCH{number:05d}", "TransTime": stamp, "TransAmount": "100000"}
            body |= {"BusinessShortCode": DEVELOPMENT_SHORTCODE, "BillRefNumber": profile["member_code"]}
            path = f"/callbacks/{made.callback_token}/c2b/confirmation"
            (await client.post(path, json=body)).raise_for_status()

    def health(_: int) -> bytes:
        return wire("GET", "/health", {})

    token = mint.mint("00000000-0000-7000-8000-000000000000", phones[0])

    def feed(_: int) -> bytes:
        return wire("GET", "/api/v1/transactions", {"Authorization": f"Bearer {token}"})

    def spend(number: int, run_id: str) -> bytes:
        body = spend_body(receipt=f"{run_id}{number:07d}", amount="147", phone=phones[number % savers])
        headers = {"X-Mpesa-Signature": sign(made.webhook_secret, body, datetime.now(UTC))}
        return wire("POST", "/api/v1/mpesa/webhooks/roundup", headers, body)

    await send_all(port, 200, clients, lambda number: spend(number, "WRM"))
    plain = await measure("GET /health", spends, send_all(port, spends, clients, health))
    # The saver's own limit is 600 a minute.
    page = await measure("GET /transactions (page of 50)", 400, send_all(port, 400, clients, feed))
    new = await measure(
        "signed spend, new", spends, send_all(port, spends, clients, lambda n: spend(n, "NEW"))
    )
    again = await measure(
        "signed spend, again", spends, send_all(port, spends, clients, lambda n: spend(n, "NEW"))
    )
    print(
        f"ratios to GET /health: page {page / plain:.3f}, new spend {new / plain:.3f}, again {again / plain:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spends", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--savers", type=int, default=200)
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="zanari-bench-") as directory:
        env = {**os.environ, "PORT": str(port), "LOG_LEVEL": "WARNING"}
        command = [sys.executable, "-m", "zanari_api", "serve"]
        api = subprocess.Popen(command, cwd=directory, env=env)
        try:
            for _ in range(300):
                with suppress(httpx.HTTPError):
                    if httpx.get(f"http://127.0.0.1:{port}/health/ready").is_success:
                        break
                time.sleep(0.1)
            home = Path(directory) / HOME
            uvloop.run(run(port, home, spends=options.spends, clients=options.clients, savers=options.savers))
        finally:
            api.terminate()
            api.wait(30)


if __name__ == "__main__":
    main()
