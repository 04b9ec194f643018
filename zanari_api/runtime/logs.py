"""Sets up logging: one JSON object a line, ours and the libraries'. Never writes what a library formatted."""

import logging
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO, Final, TextIO, cast

import asyncpg
import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from zanari_api.kit.errors import Problem
from zanari_api.runtime.redaction import redact_event

SERVICE: Final = "zanari"
FRAMES_MAX: Final = 30
CAUSES_MAX: Final = 5
TEMPLATE_MAX: Final = 200

QUIET_LIBRARIES: Final = ("asyncio", "coredis", "httpcore", "httpx", "limits", "hpack")
"""Libraries that tell of each request they make; only their warnings are of use here."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What every line says about the process that wrote it."""

    environment: str
    version: str


def configure(
    *,
    level: str,
    environment: str,
    version: str,
    stream: BinaryIO | None = None,
    console: bool = False,
) -> None:
    """Send all logging to `stream` (standard output), as JSON, or for people when `console` is set.

    Only the roots call this; a second call replaces the first. Unknown levels raise ValueError.
    """
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise ValueError("unknown log level")
    processors = _processors(Identity(environment, version), _console() if console else _json)
    # One writer for all: whoever logs asks for one at each line, and making it costs more than the line.
    writer = structlog.BytesLogger(stream or sys.stdout.buffer)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_names: writer,
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(threshold)


def _processors(identity: Identity, render: Processor) -> list[Processor]:
    # What is told of an event is redacted; what is added after that is our own word, the same on every line.
    return [
        structlog.contextvars.merge_contextvars,
        _describe_exception,
        redact_event,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _identify(identity),
        render,
    ]


def _adopt_libraries(threshold: int) -> None:
    """Give the standard library's loggers one handler, ours, and take away those that servers install."""
    root = logging.getLogger()
    root.handlers = [LibraryHandler()]
    root.setLevel(threshold)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    # Its lines hold raw paths and addresses; `request_handled` is the access log.
    logging.getLogger("uvicorn.access").disabled = True
    warnings.showwarning = _log_warning


class LibraryHandler(logging.Handler):
    """Passes a library's record through our processors: its template, never the arguments."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log = structlog.get_logger()
            write = cast("Callable[..., None]", getattr(log, _method_for(record.levelno)))
            write("library_logged", logger=record.name, template=_template(record), exc_info=record.exc_info)
        except Exception:  # noqa: BLE001 (logging must not fail the request it tells about)
            # The standard library would print the record's arguments here, which must not be printed.
            sys.stderr.write(f"a log line of {record.name} could not be written\n")


def _log_warning(
    _message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    _file: TextIO | None = None,
    _line: str | None = None,
) -> None:
    """Log a Python warning by kind and place; its text is made where it is raised, of whatever is there."""
    structlog.get_logger().warning("warning_raised", category=category.__name__, at=_place(filename, lineno))


def _method_for(levelno: int) -> str:
    for name in ("critical", "error", "warning", "info"):
        if levelno >= logging.getLevelNamesMapping()[name.upper()]:
            return name
    return "debug"


def _template(record: logging.LogRecord) -> str:
    """Return the first line of the template; asyncio puts an exception's own text in the others."""
    message = cast("object", record.msg)
    if not isinstance(message, str):
        return f"<{type(message).__name__}>"
    return message.strip().split("\n", 1)[0][:TEMPLATE_MAX]


def _identify(identity: Identity) -> Processor:
    said = redact_event(
        None, "", {"service": SERVICE, "environment": identity.environment, "version": identity.version}
    )

    def identify(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.update(said)
        return event

    return identify


def _describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the exception's kind and place. Its text may quote a row: it is left out."""
    info = cast("object", event.pop("exc_info", None))
    if isinstance(info, tuple):
        info = cast("tuple[object, ...]", info)[1]
    error = info if isinstance(info, BaseException) else (sys.exc_info()[1] if info else None)
    if error is not None:
        event["exception"] = describe(error)
    return event


def describe(error: BaseException, depth: int = 0) -> dict[str, object]:
    """Describe an exception without its text: kind, frames, causes, and what is known to be safe."""
    kind = type(error)
    described: dict[str, object] = {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "frames": [_frame(summary) for summary in traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]],
    }
    if isinstance(error, Problem):
        described |= {"code": error.code, "message": error.detail}
    if isinstance(error, asyncpg.PostgresError):
        described |= {
            "sqlstate": cast("object", getattr(error, "sqlstate", None)),
            "constraint_name": cast("object", getattr(error, "constraint_name", None)),
        }
    if depth < CAUSES_MAX:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None:
            described["cause"] = describe(cause, depth + 1)
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            described["exceptions"] = [describe(each, depth + 1) for each in group.exceptions[:CAUSES_MAX]]
    return described


def _frame(summary: traceback.FrameSummary) -> str:
    return f"{_place(summary.filename, summary.lineno)} {summary.name}"


def _place(filename: str, line: int | None) -> str:
    """Return `file:line`, with the file from its package on: where it is installed says nothing."""
    parts = PurePath(filename).parts
    kept = parts[-2:]
    if "site-packages" in parts:
        kept = parts[len(parts) - parts[::-1].index("site-packages") :]
    elif "zanari_api" in parts:
        kept = parts[len(parts) - parts[::-1].index("zanari_api") - 1 :]
    return f"{'/'.join(kept)}:{line}"


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z)


def _console() -> Processor:
    """Make the renderer for a person at a terminal."""
    render = structlog.dev.ConsoleRenderer(timestamp_key="time")

    def to_line(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
        for told_once in ("service", "environment", "version"):
            event.pop(told_once, None)
        described = event.pop("exception", None)
        lines = [str(render(logger, method, event))]
        if described is not None:
            lines += _exception_lines(cast("Mapping[str, Any]", described))
        return "\n".join(lines).encode()

    return to_line


def _exception_lines(described: Mapping[str, Any]) -> list[str]:
    lines = [f"    {frame}" for frame in described["frames"]]
    extra = [str(described[key]) for key in ("message", "sqlstate", "constraint_name") if described.get(key)]
    lines.append(": ".join(["  " + str(described["type"]), *extra]))
    if "cause" in described:
        lines = [*_exception_lines(described["cause"]), "  which led to", *lines]
    return lines
