"""Lints what is committed and is no Python: the Dockerfile, YAML, compose.yaml, the migrations, shell scripts."""

import shutil
import sys
from pathlib import Path
from typing import Final

from checks.check import Check, CheckFailed, CheckNotRun, Fault, Site

BIN: Final = Path(sys.executable).parent
TAIL: Final = 1_500


def _tool(name: str) -> Path:
    """Return where a locked tool lies. Raises CheckNotRun where it is not installed."""
    if not (BIN / name).exists():
        raise CheckNotRun(f"{name} is not in {BIN}: make setup")
    return BIN / name


def _committed(site: Site, *patterns: str) -> list[str]:
    """Return the files that git knows by these patterns. Raises CheckFailed where there is none."""
    names = site.succeed("git", "ls-files", "--", *patterns).split()
    found = [name for name in names if (site.tree / name).is_file()]
    if not found:
        raise CheckFailed(f"no file is committed as {', '.join(patterns)}: nothing was linted")
    return found


def _pass(site: Site, what: str, *argv: str | Path) -> None:
    done = site.command(*argv)
    if done.returncode != 0:
        raise CheckFailed(f"{what}: {(done.stdout + done.stderr).strip()[-TAIL:]}")


def lint_dockerfile(site: Site) -> str:
    """Let hadolint read the Dockerfile; no rule is ignored, not even on a line."""
    text = (site.tree / "Dockerfile").read_text()
    if "hadolint ignore" in text:
        raise CheckFailed("Dockerfile ignores a rule of hadolint")
    _pass(site, "hadolint", _tool("hadolint"), "--failure-threshold=style", "Dockerfile")
    return f"Dockerfile, {len(text.splitlines())} lines: hadolint says nothing"


def lint_yaml(site: Site) -> str:
    """Let yamllint read every YAML file that is committed, warnings included."""
    files = _committed(site, "*.yml", "*.yaml")
    _pass(site, "yamllint", _tool("yamllint"), "--strict", "--config-file", ".yamllint", *files)
    return f"{len(files)} files: {', '.join(files)}"


def lint_compose(site: Site) -> str:
    """Hold compose.yaml to the specification's schema, and see that it holds no secret of its own."""
    schema = ("--builtin-schema", "vendor.compose-spec")
    _pass(site, "check-jsonschema", _tool("check-jsonschema"), *schema, "compose.yaml")
    needed = 0
    for number, line in enumerate((site.tree / "compose.yaml").read_text().splitlines(), start=1):
        name, _, value = line.strip().partition(": ")
        secret = name.endswith(("PASSWORD", "SECRET", "KEY", "TOKEN")) or "://" in value
        if line.lstrip().startswith("#") or not secret:
            continue
        if ":?" not in value:
            raise CheckFailed(
                f"compose.yaml, line {number}: {name} has no variable that must be set (${{NAME:?}})"
            )
        needed += 1
    if needed == 0:
        raise CheckFailed("compose.yaml asks for no secret, and cannot start without one")
    return f"it is of the schema; {needed} secrets come from variables that must be set"


def lint_migrations(site: Site) -> str:
    """Let squawk read the migrations, by the committed rules."""
    files = _committed(site, "supabase/migrations/*.sql")
    _pass(site, "squawk", _tool("squawk"), *files)
    return f"squawk says nothing of {len(files)} migrations"


def lint_shell(site: Site) -> str:
    """Read every shell script by the shell that it names, and by Debian's, which knows no bash."""
    files = [
        name
        for name in _committed(site, "*.sh", ".ci/*")
        if (site.tree / name).read_text().startswith("#!/bin/sh\n")
    ]
    if not files:
        raise CheckFailed("no script begins with #!/bin/sh: nothing was read")
    shells = [shell for shell in ("sh", "dash") if shutil.which(shell)]
    for name in files:
        for shell in shells:
            _pass(site, f"{shell} -n {name}", shell, "-n", name)
        text = (site.tree / name).read_text()
        if "\nset -eu\n" not in text:
            raise CheckFailed(f"{name} goes on after a failure: it has no `set -eu`")
        if not (site.tree / name).stat().st_mode & 0o111:
            raise CheckFailed(f"{name} is not executable")
    return f"{len(files)} scripts by {' and '.join(shells)}: {', '.join(files)}"


CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "lint-dockerfile",
        "hadolint finds nothing in the Dockerfile",
        lint_dockerfile,
        (Fault("Dockerfile", "WORKDIR /build\n", "RUN cd /build\nMAINTAINER nobody\n", "DL4000"),),
    ),
    Check(
        "lint-yaml",
        "yamllint finds nothing in any YAML file",
        lint_yaml,
        (Fault("compose.yaml", "name: zanari\n", "name: zanari\nname: zanari \n", "trailing-spaces"),),
    ),
    Check(
        "lint-compose",
        "compose.yaml is of the specification's schema and holds no secret",
        lint_compose,
        (
            Fault("compose.yaml", "    stop_grace_period: 60s\n", "    stop_grace: 60s\n", "stop_grace"),
            Fault(
                "compose.yaml",
                "PASSWORD: ${POSTGRES_PASSWORD:?make one}",
                "PASSWORD: zanari",
                "POSTGRES_PASSWORD",
            ),
        ),
    ),
    Check(
        "lint-migrations",
        "squawk finds nothing in the migrations that would lock or break a running service",
        lint_migrations,
        (
            Fault(
                "supabase/migrations/20261125001300_index_open_collections.sql",
                "CREATE INDEX",
                "ALTER TABLE savings.collections RENAME COLUMN state TO stage;\nCREATE INDEX",
                "renaming-column",
            ),
        ),
    ),
    Check(
        "lint-shell",
        "every shell script is read by its shell without complaint, and ends at its first failure",
        lint_shell,
        (
            Fault("container/roles.sh", "set -eu\n", "", "has no `set -eu`"),
            Fault("container/roles.sh", "set -eu\n", "set -eu\nif true; then\n", "sh -n container/roles.sh"),
        ),
    ),
)
