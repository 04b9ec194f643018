"""How the operating checks are judged as a whole: nothing passes that was not seen."""

import io
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from checks.check import Check, CheckFailed, CheckNotRun, Fault, Site, needed
from checks.planted import FaultMisplaced, plant, seen
from checks.running import ListInvalid, Outcome, Result, complaints, read_count, read_expected, run_one, table


def ran(run: Callable[[Site], str], *, lacking: str | None = None) -> Result:
    return run_one(
        Check("sample", "a sample", run, (), needs=lambda: lacking), Path.cwd(), Console(quiet=True)
    )


def judged(
    *results: Result, expected: Sequence[str] = (), known: Sequence[str] = ("sample",), count: int | None = 1
) -> list[str]:
    return complaints(results, expected=dict.fromkeys(expected, "why"), known=set(known), count=count)


def fails(_site: Site) -> str:
    raise CheckFailed("two rows were lost")


def crashes(_site: Site) -> str:
    raise KeyError("unforeseen")


def gives_up(_site: Site) -> str:
    raise CheckNotRun("no engine answers")


def test_a_check_that_passes_says_what_it_saw_and_nobody_complains() -> None:
    result = ran(lambda _: "3 rows")
    assert (result.outcome, result.said) == (Outcome.PASSED, "3 rows")
    assert judged(result) == []


@pytest.mark.parametrize(
    ("run", "said"),
    [(fails, "two rows were lost"), (crashes, "KeyError"), (lambda _: " ", "without saying what it saw")],
    ids=["found something", "crashed", "saw nothing"],
)
def test_what_did_not_pass_has_failed(run: Callable[[Site], str], said: str) -> None:
    result = ran(run)
    assert result.outcome is Outcome.FAILED
    assert said in result.said
    assert judged(result) == ["sample failed"]


def test_what_cannot_run_is_a_complaint_unless_it_is_expected() -> None:
    result = ran(lambda _: "3 rows", lacking="not installed: promtool")
    assert result.outcome is Outcome.NOT_RUN
    assert judged(result) == [
        "sample did not run (not installed: promtool), and is not expected to be absent"
    ]
    assert judged(result, expected=["sample"]) == []


def test_what_is_expected_to_be_absent_and_could_have_run_is_a_complaint() -> None:
    complaint = ["sample is expected to be absent, and could have run: take it off the list"]
    assert judged(ran(lambda _: "3 rows"), expected=["sample"]) == complaint
    assert judged(ran(fails), expected=["sample"]) == ["sample failed", *complaint]


def test_a_check_that_gives_up_by_itself_is_not_run_and_is_a_complaint() -> None:
    result = ran(gives_up)
    assert result.outcome is Outcome.NOT_RUN
    assert judged(result) == ["sample did not run (no engine answers), and is not expected to be absent"]


def test_a_check_that_gives_up_by_itself_for_a_reason_is_excused_where_that_is_expected() -> None:
    assert judged(ran(gives_up), expected=["sample"]) == []


def test_a_check_that_gives_up_without_a_reason_has_failed() -> None:
    def gives_none(_site: Site) -> str:
        raise CheckNotRun

    result = ran(gives_none)
    assert (result.outcome, result.said) == (Outcome.FAILED, "it did not run, and gave no reason")
    assert "sample failed" in judged(result, expected=["sample"])


def test_what_a_check_saw_is_shown_as_it_is_though_it_looks_like_markup() -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=160)

    def tells(site: Site) -> str:
        site.say("looking at [/var/log]")
        return "3 rows in [/var/lib] and [red]"

    console.print(table([run_one(Check("sample", "a sample", tells, ()), Path.cwd(), console)]))
    assert "looking at [/var/log]" in shown.getvalue()
    assert "3 rows in [/var/lib] and [red]" in shown.getvalue()


def test_fewer_checks_than_the_committed_count_are_a_complaint() -> None:
    assert judged(ran(lambda _: "3 rows"), count=2) == ["1 checks where 2 have to be"]


def test_no_check_at_all_is_a_complaint() -> None:
    assert judged(count=None) == ["nothing was checked"]


def test_an_unknown_name_on_the_list_is_a_complaint() -> None:
    assert judged(ran(lambda _: "3 rows"), expected=["other"]) == [
        "other is expected to be absent, and there is no such check"
    ]


@pytest.mark.parametrize("text", ["sample\n", "sample why\nsample because\n"], ids=["no reason", "twice"])
def test_a_list_without_reasons_or_with_a_name_twice_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "expected.txt"
    path.write_text(text)
    with pytest.raises(ListInvalid, match="sample"):
        read_expected(path)


def test_the_list_is_read_without_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "expected.txt"
    path.write_text("# what may be absent\n\nsample   no engine here\n")
    assert read_expected(path) == {"sample": "no engine here"}


def test_a_count_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "count.txt"
    path.write_text("many\n")
    with pytest.raises(ListInvalid, match="many"):
        read_count(path)


def test_a_program_that_is_not_installed_is_named() -> None:
    assert needed("sh")() is None
    assert needed("sh", "no-such-program")() == "not installed: no-such-program"


def test_a_command_that_takes_too_long_is_a_failure(tmp_path: Path) -> None:
    site = Site(Path.cwd(), tmp_path, say=lambda _: None)
    with pytest.raises(CheckFailed, match="did not end within"):
        site.command(sys.executable, "-c", "import time; time.sleep(30)", timeout=0.2)


def test_a_command_that_fails_is_shown_with_what_it_said(tmp_path: Path) -> None:
    site = Site(Path.cwd(), tmp_path, say=lambda _: None)
    with pytest.raises(CheckFailed, match="ended with 3: so sorry"):
        site.succeed(sys.executable, "-c", "print('so sorry'); raise SystemExit(3)")


@pytest.mark.parametrize("variable", ["DATABASE_URL", "supabase_url", "SUPABASE_SECRET_KEY"])
def test_a_check_does_not_inherit_the_services_variables_of_whoever_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    site = Site(Path.cwd(), tmp_path, say=lambda _: None)
    monkeypatch.setenv(variable, "theirs")
    monkeypatch.setenv("SOMETHING_ELSE", "theirs")
    shows = (sys.executable, "-c", f"import os; print(os.getenv({variable!r}), os.getenv('SOMETHING_ELSE'))")
    assert site.succeed(*shows).split() == ["None", "theirs"]
    assert site.succeed(*shows, env={variable: "ours"}).split() == ["ours", "theirs"]
    log = tmp_path / "shown.log"
    with site.started(*shows, log=log) as process:
        process.wait(timeout=30)
    assert log.read_text().split() == ["None", "theirs"]


def test_a_started_process_ends_with_its_block(tmp_path: Path) -> None:
    site = Site(Path.cwd(), tmp_path, say=lambda _: None)
    with site.started(sys.executable, "-c", "import time; time.sleep(60)") as process:
        assert process.poll() is None
    assert process.poll() is not None


def test_a_fault_is_planted_where_its_place_is_there_just_once(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("a: 1\nb: 2\n")
    plant(Fault("rules.yml", "b: 2", "b: 3", says=""), tmp_path)
    assert (tmp_path / "rules.yml").read_text() == "a: 1\nb: 3\n"
    for path, old in [("rules.yml", ": "), ("rules.yml", "c: 4"), ("gone.yml", "a")]:
        with pytest.raises(FaultMisplaced, match=path):
            plant(Fault(path, old, "x", says=""), tmp_path)


def tree_whose_checks(folder: Path, *, do: str) -> Path:
    """Return a tree with checks of its own, which do this."""
    (folder / "checks").mkdir(parents=True)
    (folder / "checks" / "__init__.py").touch()
    (folder / "checks" / "__main__.py").write_text(do)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)  # noqa: S607 (as whoever runs the checks has it)
    return folder


def test_a_check_that_does_not_end_with_a_fault_has_not_seen_it_and_is_told_to_end_what_it_started(
    tmp_path: Path,
) -> None:
    ended = tmp_path / "ended"
    tree = tree_whose_checks(
        tmp_path / "tree",
        do=f"import pathlib, signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(ended)!r}).touch(), sys.exit(1)))\n"
        f"time.sleep(60)\n",
    )
    check = Check("sample", "a sample", lambda _: "3 rows", ())
    fault = Fault("checks/__main__.py", "time.sleep(60)", "time.sleep(61)", says="")
    assert seen(check, fault, tree, within=2) == "the check did not end within 2 s"
    assert ended.exists()


def test_checks_that_are_told_to_end_first_end_what_they_started() -> None:
    program = (
        "import time\nfrom checks.__main__ import end_in_order_when_told\nend_in_order_when_told()\n"
        "try:\n    print('started', flush=True)\n    time.sleep(60)\nfinally:\n    print('ended its own')\n"
    )
    with subprocess.Popen(  # noqa: S603 (our own words)
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.terminate()
        assert process.stdout.read() == "ended its own\n"
    assert process.returncode == 128 + signal.SIGTERM
