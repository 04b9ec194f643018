"""Logs: one JSON object a line, ours and the libraries', and never the text of a foreign exception."""

import asyncio
import io
import logging
import sys
import warnings
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
import structlog
from fastapi import FastAPI, Request

from tests.support.observed import Browse, Written
from zanari_api.kit.errors import Refusal
from zanari_api.kit.ids import new_id
from zanari_api.runtime import logs, problems
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.middleware import Observe

PHONE = "0712 345 678"
NAME = "Wanjiku Kamau"
DETAIL = f"Key (phone, name)=({PHONE}, {NAME}) already exists."
PRIVATE = ("345 678", "712345678", "Wanjiku", "Kamau", "already exists")

log = structlog.get_logger(__name__)


class GoalLocked(Refusal):
    """This goal is locked."""

    code = "goal_locked_for_logs"


def fail(error: Exception) -> None:
    raise error


def assert_private(written: Written) -> None:
    assert written.text
    for leak in PRIVATE:
        assert leak not in written.text


def test_a_line_says_when_what_and_where(written: Written) -> None:
    goal_id = new_id()
    log.info("goal_created", goal_id=goal_id, amount_cents=14_700)
    [line] = written.lines
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "service": "zanari",
        "environment": "staging",
        "version": "1.2.3",
        "event": "goal_created",
        "goal_id": str(goal_id),
        "amount_cents": 14_700,
    }


def test_a_version_that_is_a_commit_is_told_as_it_is() -> None:
    commit, stream = "1d7b9bc7cc53" + "0a" * 14, io.BytesIO()
    logs.configure(level="info", environment="staging", version=commit, stream=stream)
    try:
        log.info("goal_created", version="another", time="yesterday", service="theirs")
    finally:
        structlog.reset_defaults()
    line = orjson.loads(stream.getvalue())
    assert (line["version"], line["service"]) == (commit, "zanari")
    assert line["time"] != "yesterday"


def test_each_event_is_one_line_whatever_it_holds(written: Written) -> None:
    log.warning(
        "odd_values_seen", text="two\nlines", big=2**80, number=float("nan"), object=object(), what={1: (2,)}
    )
    [line] = written.lines
    assert line["text"] != "two"
    assert written.text.count("\n") == 1


def test_what_is_bound_to_the_context_is_on_every_line(written: Written) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        log.info("goal_created")
    log.info("goal_closed")
    assert [line.get("request_id") for line in written.lines] == ["r-1", None]


def test_lines_below_the_level_are_not_written(written: Written) -> None:
    stream = io.BytesIO()
    logs.configure(level="WARNING", environment="staging", version="1", stream=stream)
    log.info("goal_created")
    logging.getLogger("some.library").info("too quiet")
    log.warning("goal_overdue")
    assert [orjson.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["goal_overdue"]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown log level"):
        logs.configure(level="loud", environment="staging", version="1")


def test_a_foreign_exception_is_told_by_kind_and_place_without_its_text(written: Written) -> None:
    try:
        fail(KeyError(DETAIL))
    except KeyError:
        log.exception("goal_not_created")
    [line] = written.lines
    assert line["level"] == "error"
    assert line["exception"]["type"] == "builtins.KeyError"
    assert line["exception"]["frames"][0].startswith("runtime/test_logs.py:")
    assert "message" not in line["exception"]
    assert_private(written)


def test_causes_and_groups_are_told_without_their_text_too(written: Written) -> None:
    try:
        try:
            try:
                fail(ValueError(DETAIL))
            except ValueError as error:
                raise LookupError(NAME) from error
        except LookupError as error:
            raise ExceptionGroup(DETAIL, [RuntimeError(PHONE), error])  # noqa: B904 (the context is what is tested)
    except ExceptionGroup:
        log.exception("import_failed")
    described = written.lines[0]["exception"]
    assert [each["type"] for each in described["exceptions"]] == [
        "builtins.RuntimeError",
        "builtins.LookupError",
    ]
    assert described["exceptions"][1]["cause"]["type"] == "builtins.ValueError"
    assert described["cause"]["type"] == "builtins.LookupError"
    assert_private(written)


def test_notes_on_an_exception_are_not_shown(written: Written) -> None:
    error = ValueError("x")
    error.add_note(DETAIL)
    log.error("import_failed", exc_info=error)
    assert_private(written)


def test_an_exception_of_the_database_gives_its_state_and_constraint(written: Written) -> None:
    error = asyncpg.UniqueViolationError(f'duplicate key value violates "accounts_phone_unique" {DETAIL}')
    error.detail = DETAIL
    error.constraint_name = "accounts_phone_unique"
    log.error("unit_of_work_failed", exc_info=error)
    described = written.lines[0]["exception"]
    assert described["sqlstate"] == "23505"
    assert described["constraint_name"] == "accounts_phone_unique"
    assert_private(written)


def test_a_refusal_of_ours_shows_its_message_redacted(written: Written) -> None:
    log.error("refused_in_a_job", exc_info=GoalLocked(f"The goal of {PHONE} is locked."))
    described = written.lines[0]["exception"]
    assert described["code"] == "goal_locked_for_logs"
    assert described["message"] == "The goal of [redacted] is locked."


def test_frames_do_not_tell_where_the_service_is_installed(written: Written) -> None:
    try:
        orjson.loads(b"{")
        pytest.fail("that was no JSON")
    except orjson.JSONDecodeError:
        log.exception("not_read")
    try:
        asyncpg.connect_utils._parse_connect_dsn_and_args(None)  # type: ignore[call-arg]
    except TypeError:
        log.exception("not_connected")
    assert "site-packages" not in written.text
    assert str(UUID(int=0)) not in written.text


def test_a_library_is_told_by_its_template_and_never_by_its_arguments(written: Written) -> None:
    logging.getLogger("some.library").warning("no answer from %s for %s", PHONE, NAME)
    [line] = written.lines
    assert line["event"] == "library_logged"
    assert line["logger"] == "some.library"
    assert line["level"] == "warning"
    assert line["template"] == "no answer from %s for %s"
    assert_private(written)


def test_text_a_library_formatted_itself_is_redacted_and_cut_to_a_line(written: Written) -> None:
    logging.getLogger("some.library").error(f"no answer from {PHONE}\nname: {NAME}")  # noqa: G004 (what some do)
    [line] = written.lines
    assert line["template"] == "no answer from [redacted]"
    assert_private(written)


def test_a_librarys_exception_is_told_without_its_text(written: Written) -> None:
    try:
        fail(RuntimeError(DETAIL))
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    [line] = written.lines
    assert line["template"] == "Exception in ASGI application"
    assert line["exception"]["type"] == "builtins.RuntimeError"
    assert_private(written)


async def test_a_task_that_died_unseen_is_told_without_its_exceptions_text(written: Written) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError(DETAIL), "future": NAME}
    )
    [line] = written.lines
    assert line["logger"] == "asyncio"
    assert line["exception"]["type"] == "builtins.ValueError"
    assert_private(written)


def test_a_record_that_is_no_text_is_named_not_shown(written: Written) -> None:
    logging.getLogger("some.library").error({"phone": PHONE})
    assert written.lines[0]["template"] == "<dict>"
    assert_private(written)


def test_a_warning_is_told_by_kind_and_place(written: Written) -> None:
    show = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        warnings.warn(f"{NAME} is deprecated", stacklevel=1)
    [line] = written.events("warning_raised")
    assert line["category"] == "UserWarning"
    assert line["at"].startswith("runtime/test_logs.py:")
    assert_private(written)


def test_the_servers_access_log_is_silent(written: Written) -> None:
    logging.getLogger("uvicorn.access").info('%s - "%s %s"', "198.51.100.7", "GET", f"/goals?phone={PHONE}")
    assert written.text == ""


def test_what_a_chatty_library_says_of_each_request_is_left_out(written: Written) -> None:
    logging.getLogger("httpx").info("HTTP Request: %s", "GET https://example.test")
    assert written.text == ""


def test_a_library_that_brought_its_own_handler_loses_it(written: Written) -> None:
    stream = io.StringIO()
    logging.getLogger("brings.own").addHandler(logging.StreamHandler(stream))
    logs.configure(level="info", environment="staging", version="1", stream=io.BytesIO())
    logging.getLogger("brings.own").error("no answer from %s", PHONE)
    assert stream.getvalue() == ""


def test_a_line_that_cannot_be_written_is_said_without_its_content(
    written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.BytesIO):
        def write(self, *_: object) -> int:
            raise OSError(f"disk full of {PHONE}")

    logs.configure(level="info", environment="staging", version="1", stream=Full())
    logging.getLogger("some.library").error("no answer from %s", PHONE)
    assert capsys.readouterr().err == "a log line of some.library could not be written\n"


def test_a_person_at_a_terminal_reads_the_same_without_the_frame(written: Written) -> None:
    stream = io.BytesIO()
    logs.configure(level="info", environment="development", version="1", stream=stream, console=True)
    try:
        try:
            fail(ValueError(DETAIL))
        except ValueError as error:
            raise GoalLocked(goal_id="g") from error
    except GoalLocked:
        log.exception("goal_not_created", phone=PHONE, goal_id="g-1")
    text = stream.getvalue().decode()
    assert "goal_not_created" in text
    assert "g-1" in text
    assert "GoalLocked: This goal is locked." in text
    assert "which led to" in text
    assert "345" not in text
    assert "Wanjiku" not in text


async def test_nothing_private_of_a_request_reaches_any_line(
    written: Written, metrics: Metrics, browse: Browse
) -> None:
    app = FastAPI()
    problems.install(app, metrics=metrics)
    app.add_middleware(Observe, metrics=metrics)

    @app.post("/savers/{phone}")
    async def save(phone: str, request: Request) -> None:
        log.info("saver_seen", phone=phone, headers=dict(request.headers), name=NAME)
        raise RuntimeError(DETAIL)

    async with browse(app) as client:
        response = await client.post(
            f"/savers/{PHONE}?name={NAME}",
            json={"phone": PHONE, "name": NAME},
            headers={"Authorization": "Bearer Wanjiku", "X-Request-ID": PHONE.replace(" ", "")},
        )
    assert response.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    assert {line["event"] for line in written.lines} >= {"saver_seen", "request_failed", "request_handled"}
    assert_private(written)


def test_without_a_place_given_lines_go_to_standard_output(
    written: Written, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    logs.configure(level="info", environment="staging", version="1")
    log.info("goal_created")
    sys.stdout.flush()
    assert orjson.loads(capfdbinary.readouterr().out)["event"] == "goal_created"
    assert written.text == ""
