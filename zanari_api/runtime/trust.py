"""Whom calls over TLS trust: the machine's authorities, read once for the process. Makes no call."""

import ssl
from functools import cache

import httpx


@cache
def authorities() -> ssl.SSLContext:
    """Return what every client shares: reading the authorities takes longer than all else that makes a client."""
    return httpx.create_ssl_context()
