"""Prometheus and Alertmanager on the committed files: nothing of them differs but addresses and how long they wait."""

import copy
import json
import shutil
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx
import yaml

from checks.check import CheckFailed, Site, find
from checks.stand import answers, free_port

SCRAPE_EVERY: Final = "1s"
GROUP_WAIT: Final = "1s"
GROUP_INTERVAL: Final = "5s"
"""Shorter than this, Alertmanager would tell of an alert that resolves before it told that it fires."""

WAITS: Final[Mapping[str, str]] = {
    "scrape_interval": SCRAPE_EVERY,
    "scrape_timeout": SCRAPE_EVERY,
    "evaluation_interval": SCRAPE_EVERY,
    "group_wait": GROUP_WAIT,
    "group_interval": GROUP_INTERVAL,
}
"""What is shortened, wherever it is said."""

ADDRESSES: Final = ("targets", "url")
"""What is pointed elsewhere."""

TOKEN_FILE: Final = "metrics_token"  # noqa: S105 (a file)
"""Has what the API and the worker ask for. An operator's own is not committed, and is not the check's."""

ALERTMANAGERS: Final = "alertmanagers"
READY_WITHIN_S: Final = 30


@dataclass(frozen=True, slots=True)
class Told:
    """One alert as the receiver was told of it."""

    alert: str
    receiver: str
    severity: str
    firing: bool
    at: float
    """Seconds by the monotonic clock."""


class Receiver:
    """A webhook receiver: whoever is on call."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for each in body["alerts"]:
                    labels: dict[str, str] = each["labels"]
                    told.append(
                        Told(
                            alert=labels["alertname"],
                            receiver=body["receiver"],
                            severity=labels.get("severity", ""),
                            firing=each["status"] == "firing",
                            at=time.monotonic(),
                        )
                    )
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has there)
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def first(self, alert: str, *, firing: bool, since: float) -> float | None:
        """Return when whoever its severity is for was told of an alert first, after a moment; None when nobody was."""
        found = [
            each.at
            for each in list(self.told)
            if (each.alert, each.firing) == (alert, firing) and each.receiver == each.severity
        ]
        return min((at for at in found if at >= since), default=None)

    @contextmanager
    def listening(self) -> Generator[None, None, None]:
        thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class Prometheus:
    """Prometheus as one asks it."""

    def __init__(self, url: str) -> None:
        # One client: a new one for each of hundreds of questions would be most of the time they take.
        self._client = httpx.Client(base_url=url, timeout=10)

    def close(self) -> None:
        self._client.close()

    def series(self, expression: str) -> int:
        """Return how many series an expression returns now. Raises CheckFailed where it is refused."""
        answer = self._get("/api/v1/query", {"query": expression})
        # A number or a text is one value, and is always there.
        return len(answer["result"]) if answer["resultType"] in {"vector", "matrix"} else 1

    def targets(self) -> dict[str, str]:
        """Return the health of each job's targets, the worst of a job's."""
        active = self._get("/api/v1/targets", {"state": "active"})["activeTargets"]
        health: dict[str, str] = {}
        for each in active:
            job = each["labels"]["job"]
            health[job] = each["health"] if health.get(job, "up") == "up" else health[job]
        return health

    def wait_for_targets(self) -> None:
        """Wait until every target is scraped. Raises CheckFailed."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not (health := self.targets()) or set(health.values()) != {"up"}:
            if time.monotonic() > deadline:
                raise CheckFailed(f"targets are not all scraped: {health}")
            time.sleep(0.5)

    def labels_of_targets(self) -> list[Mapping[str, str]]:
        active = self._get("/api/v1/targets", {"state": "active"})["activeTargets"]
        return [each["labels"] for each in active]

    def names(self) -> frozenset[str]:
        """Return the names of all metrics that there are series of."""
        return frozenset(self._get("/api/v1/label/__name__/values", {}))

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        alerts = self._get("/api/v1/alerts", {})["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def _get(self, path: str, parameters: Mapping[str, str]) -> Any:
        response = self._client.get(path, params=parameters)
        if not response.is_success:
            raise CheckFailed(f"Prometheus refused {path} {dict(parameters)}: {response.text[:300]}")
        return response.json()["data"]


@contextmanager
def watching(
    site: Site, targets: Mapping[str, Sequence[str]], receiver: Receiver
) -> Generator[Prometheus, None, None]:
    """Run both for as long as the block runs. `targets`: the addresses of each job's targets."""
    folder = placed(site)
    alertmanager_at, prometheus_at = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    shorten(
        folder / "prometheus.yml",
        targets={**targets, ALERTMANAGERS: [alertmanager_at]},
        receiver=receiver.address,
    )
    shorten(folder / "alertmanager.yml", targets={}, receiver=receiver.address)
    with ExitStack() as stack:
        stack.enter_context(receiver.listening())
        for program, at, ready, options in (
            (
                "prometheus-alertmanager",
                alertmanager_at,
                "/-/ready",
                (
                    f"--config.file={folder / 'alertmanager.yml'}",
                    f"--storage.path={site.scratch / 'alertmanager'}",
                    "--cluster.listen-address=",
                ),
            ),
            (
                "prometheus",
                prometheus_at,
                "/-/ready",
                (
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={site.scratch / 'prometheus'}",
                    "--alertmanager.notification-queue-capacity=1000",
                ),
            ),
        ):
            log = site.scratch / f"{program}.log"
            process = stack.enter_context(
                site.started(find(program) or "", f"--web.listen-address={at}", *options, log=log)
            )
            answers(
                f"http://{at}{ready}",
                within=READY_WITHIN_S,
                alive=lambda process=process: process.poll() is None,
                log=log,
            )
        yield stack.enter_context(closing(Prometheus(f"http://{prometheus_at}")))


def placed(site: Site) -> Path:
    """Copy what is committed to a place of the check's own, and the token's example to where Prometheus reads one."""
    folder = site.scratch / "alerts"
    shutil.copytree(site.tree / "alerts", folder, ignore=shutil.ignore_patterns(TOKEN_FILE))
    (folder / TOKEN_FILE).write_text(scrape_token(site), encoding="utf-8")
    return folder


def scrape_token(site: Site) -> str:
    """Return the token of the example. Raises CheckFailed where there is none, for then none would be asked for."""
    token = (site.tree / "alerts" / f"{TOKEN_FILE}.example").read_text(encoding="utf-8").strip()
    if not token:
        raise CheckFailed(f"alerts/{TOKEN_FILE}.example is empty")
    return token


def shorten(file: Path, *, targets: Mapping[str, Sequence[str]], receiver: str) -> None:
    """Shorten what a configuration waits and point it elsewhere, in place. Raises CheckFailed if more changed."""
    committed: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    changed = copy.deepcopy(committed)
    for section in (changed.get("global"), *changed.get("scrape_configs", [])):
        if section is not None:
            _set_waits(section)
    for scraped in changed.get("scrape_configs", []):
        _point(scraped["static_configs"], targets.get(scraped["job_name"], ()), job=scraped["job_name"])
    for manager in changed.get("alerting", {}).get("alertmanagers", []):
        _point(manager["static_configs"], targets[ALERTMANAGERS], job=ALERTMANAGERS)
    if "route" in changed:
        _set_waits_below(changed["route"])
    for each in changed.get("receivers", []):
        for hook in each.get("webhook_configs", []):
            hook["url"] = f"http://{receiver}{urlsplit(str(hook['url'])).path}"
    if masked(changed) != masked(committed):
        raise CheckFailed(f"{file.name} was changed in more than waits and addresses")
    file.write_text(yaml.safe_dump(changed, sort_keys=False), encoding="utf-8")


def masked(read: Any) -> Any:
    """Return a configuration without what may differ: how long it waits, and where others are."""
    if isinstance(read, dict):
        section = cast("dict[str, Any]", read)
        return {
            key: "..." if key in WAITS or key in ADDRESSES else masked(value)
            for key, value in section.items()
        }
    if isinstance(read, list):
        return [masked(each) for each in cast("list[Any]", read)]
    return read


def _set_waits(section: dict[str, Any]) -> None:
    for name in WAITS.keys() & section.keys():
        section[name] = WAITS[name]


def _set_waits_below(route: dict[str, Any]) -> None:
    _set_waits(route)
    for each in route.get("routes", []):
        _set_waits_below(each)


def _point(static_configs: list[dict[str, Any]], addresses: Sequence[str], *, job: str) -> None:
    """Give the first group of a job's targets the addresses; its labels stay. Another group would be unknown."""
    if len(static_configs) != 1 or not addresses:
        raise CheckFailed(
            f"{job} has {len(static_configs)} groups of targets, and the check knows {addresses}"
        )
    static_configs[0]["targets"] = list(addresses)
