"""Proves that a database is spoken to over verified TLS or not at all, by a CA made for the check."""

import asyncio
import os
import pwd
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from checks.check import Check, CheckFailed, Fault, Site
from checks.stand import MIGRATOR, SERVICE, Stand, answers, free_port, migrated, postgres, staging, tail

DEBIAN: Final = Path("/usr/lib/postgresql/15/bin")
HOST: Final = "localhost"
OTHER_HOST: Final = "127.0.0.1"
"""The same server by another name, which is not in its certificate."""

SERVE: Final = (sys.executable, "-m", "zanari_api", "serve")
READY_WITHIN_S: Final = 40
NOT_READY: Final = 503
SERVER_USER: Final = "postgres"


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA of this check's own, in files."""

    root: Path
    certificate: Path
    key: Path


def lacking() -> str | None:
    """Return what is missing for the check."""
    return None if (DEBIAN / "postgres").exists() else "not installed: postgresql-15"


def prove(site: Site) -> str:
    """Connect as one should, and then in each of the ways that must be refused."""
    ours, others = _authority(site.scratch / "ours"), _authority(site.scratch / "others")
    with _server(site, ours) as stand:
        asyncio.run(migrated(stand))
        _answers_over_tls(site, stand, ours)
        refused = [
            _refused(site, stand.url(SERVICE, host=HOST, query=_verified(others)), "not signed by a CA"),
            _refused(site, stand.url(SERVICE, host=OTHER_HOST, query=_verified(ours)), "for another host"),
        ]
        _readiness_says_so(site, stand.url(SERVICE, host=HOST, query=_verified(others)))
        _migration_refused(site, stand.url(MIGRATOR, host=HOST, query=_verified(others)))
        nowhere = stand.url(SERVICE, host=HOST, query="?sslmode=verify-full&sslrootcert=/nonexistent/ca.pem")
        refused.append(_refused(site, nowhere, "sslrootcert cannot be read"))
    with postgres(site.scratch / "plain", bin_dir=DEBIAN) as plain:
        asyncio.run(migrated(plain))
        refused.append(
            _refused(site, plain.url(SERVICE, host=HOST, query=_verified(ours)), "the server speaks no TLS")
        )
    return f"Postgres 15 over verify-full answers; refused by name: {'; '.join(refused)}"


def _verified(authority: Authority) -> str:
    return f"?sslmode=verify-full&sslrootcert={authority.root}"


@contextmanager
def _server(site: Site, authority: Authority) -> Generator[Stand, None, None]:
    """Run Debian's Postgres with the certificate, refusing whoever comes without TLS."""
    if os.geteuid() == 0:
        # The server's user reads its key, which nobody else may.
        user = pwd.getpwnam(SERVER_USER)
        os.chown(authority.key, user.pw_uid, user.pw_gid)
    for each in (site.scratch, authority.key.parent):
        each.chmod(0o711)
    options = {
        "ssl": "on",
        "ssl_cert_file": str(authority.certificate),
        "ssl_key_file": str(authority.key),
        "ssl_ca_file": "",
    }
    with postgres(site.scratch / "tls", bin_dir=DEBIAN, options=options) as stand:
        yield stand


def _answers_over_tls(site: Site, stand: Stand, authority: Authority) -> None:
    """Serve over verify-full until ready, and see by the server's own word that the connections are encrypted."""
    variables = _variables(site, stand.url(SERVICE, host=HOST, query=_verified(authority)))
    log = site.scratch / "serve.log"
    with site.started(*SERVE, env=variables, log=log) as api:
        answers(
            f"http://127.0.0.1:{variables['PORT']}/health/ready",
            within=READY_WITHIN_S,
            alive=lambda: api.poll() is None,
            log=log,
        )
        encrypted, plain = asyncio.run(_connections(stand))
    if encrypted == 0 or plain != 0:
        raise CheckFailed(f"the service has {encrypted} connections over TLS and {plain} without it")


async def _connections(stand: Stand) -> tuple[int, int]:
    """Return how many connections the service has over TLS, and how many without."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(stand.superuser_url)
    try:
        rows = await connection.fetch(
            "SELECT s.ssl FROM pg_stat_ssl AS s JOIN pg_stat_activity AS a USING (pid) WHERE a.usename = $1",
            SERVICE,
        )
    finally:
        await connection.close()
    return sum(row["ssl"] for row in rows), sum(not row["ssl"] for row in rows)


def _refused(site: Site, url: str, reason: str) -> str:
    """See a verb refused in one line that names the variable and the reason."""
    done = site.zanari("jobs", "list", env=_variables(site, url))
    said = next((line for line in done.stderr.splitlines() if line.startswith("zanari: ")), done.stderr)
    if done.returncode == 0:
        raise CheckFailed(f"{reason}: it was not refused, and answered {done.stdout.strip()!r}")
    if "DATABASE_URL: " not in said or reason not in said:
        raise CheckFailed(f"what is wrong ({reason}) is not said with DATABASE_URL's name: {said}")
    return reason


def _readiness_says_so(site: Site, url: str) -> None:
    """See that a service which does not trust its database is not ready, and logs why."""
    variables = _variables(site, url)
    log = site.scratch / "untrusting.log"
    base_url = f"http://127.0.0.1:{variables['PORT']}"
    with site.started(*SERVE, env=variables, log=log) as api:
        answers(f"{base_url}/health", within=READY_WITHIN_S, alive=lambda: api.poll() is None, log=log)
        status = httpx.get(f"{base_url}/health/ready", timeout=30).status_code
    if status != NOT_READY or '"reason":"DATABASE_URL: ' not in log.read_text():
        raise CheckFailed(
            f"readiness answers {status} of a database that is not trusted; the log: {tail(log)}"
        )


def _migration_refused(site: Site, url: str) -> None:
    done = site.zanari("migrate", env=_variables(site, url) | {"DATABASE_MIGRATION_URL": url})
    if done.returncode == 0 or "DATABASE_MIGRATION_URL: the server's certificate" not in done.stderr:
        raise CheckFailed(
            f"migrate does not refuse by DATABASE_MIGRATION_URL's name: {done.stdout}{done.stderr}"
        )


def _variables(site: Site, url: str) -> dict[str, str]:
    ports = {"PORT": str(free_port()), "WORKER_PORT": str(free_port())}
    return staging(site.scratch, DATABASE_URL=url, **ports)


def _authority(folder: Path) -> Authority:
    """Make a CA, and a certificate of it for HOST alone."""
    folder.mkdir(parents=True)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"the CA of {folder.name}")])
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    root = _certificate(root_name, root_name, root_key, root_key, names=None)
    certificate = _certificate(named, root_name, key, root_key, names=[x509.DNSName(HOST)])
    made = Authority(folder / "root.pem", folder / "server.pem", folder / "server.key")
    made.root.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signing: ec.EllipticCurvePrivateKey,
    *,
    names: list[x509.GeneralName] | None,
) -> x509.Certificate:
    """Sign a certificate for a day: of a server with these names, or of a CA where there are none."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signing, hashes.SHA256())


CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "database-tls",
        "the database is spoken to over verified TLS; a wrong CA, a wrong host and a plain server are refused",
        prove,
        (
            Fault(
                "zanari_api/runtime/db.py",
                'reason = None if why is None else f"DATABASE_URL: {why}"',
                "reason = None",
                "is not said with DATABASE_URL's name",
            ),
            Fault(
                "zanari_api/assembly.py",
                'checked("DATABASE_URL", lambda: check_root(dsn))',
                "check_root",
                "sslrootcert cannot be read",
            ),
            Fault(
                "zanari_api/runtime/db.py",
                "            self._dsn,\n            min_size=0,",
                '            self._dsn.replace("verify-full", "require").partition("&")[0],\n            min_size=0,',
                "it was not refused",
            ),
            Fault(
                "zanari_api/cli/app.py",
                'fail(f"{name}: {reason}")',
                "fail(reason)",
                "DATABASE_MIGRATION_URL's name",
            ),
        ),
        lacking,
    ),
)
