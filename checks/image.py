"""Builds the image of a tree without an engine: buildah, over a Debian of debootstrap. Leaves nothing but that Debian.

The base is kept as a tar in the user's cache, for as long as BASE_KEPT says: making it takes most of a minute. What
this machine tells pip and TLS (an index of its own, a CA) is mounted into the build, and is no part of the image.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

from checks.check import CheckFailed, CheckNotRun, Site

SUITE: Final = "bookworm"
BASE_KEPT: Final = timedelta(days=30)
BASE_PACKAGES: Final = "ca-certificates,python3,python3-venv"
BASE: Final = "localhost/zanari-base:latest"
IMAGE: Final = "localhost/zanari:checked"
BASE_TIMEOUT_S: Final = 420
BUILD_TIMEOUT_S: Final = 420

CONFIGURATION: Final = ("/etc/ssl/certs", "/etc/pip.conf", "/etc/xdg/pip", "~/.config/pip", "~/.pip")
"""What of this machine the build may need to reach its packages."""

POLICY: Final = '{"default": [{"type": "insecureAcceptAnything"}]}'


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah with a storage of its own in a scratch folder."""

    site: Site
    home: Path

    @classmethod
    def made(cls, site: Site) -> "Buildah":
        home = site.scratch / "buildah"
        for each in ("root", "run"):
            (home / each).mkdir(parents=True)
        (home / "policy.json").write_text(POLICY)
        (home / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{home}/run"\ngraphroot = "{home}/root"\n'
        )
        return cls(site, home)

    def __call__(self, *arguments: str | Path, timeout: float = 120) -> str:
        """Run one of its commands, and return what it printed."""
        env = {
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": str(self.home / "storage.conf"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
        }
        verb, *rest = arguments
        # Only what may fetch an image knows of signatures; here nothing is fetched.
        policy = (f"--signature-policy={self.home}/policy.json",) if verb in {"bud", "from"} else ()
        return self.site.succeed("buildah", verb, *policy, *rest, env=env, timeout=timeout)

    def build(self, *, version: str, commit: str) -> None:
        """Build the tree's Dockerfile as IMAGE. Raises CheckFailed with what was said, CheckNotRun without a base."""
        folder = self.home / "base"
        folder.mkdir()
        shutil.copyfile(base(self.site), folder / "base.tar")
        (folder / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        self("bud", "--quiet", "--format", "docker", "--tag", BASE, folder, timeout=BUILD_TIMEOUT_S)
        shutil.rmtree(folder)
        arguments = {"PYTHON_IMAGE": BASE, "VERSION": version, "COMMIT": commit}
        self(
            "bud",
            "--pull=never",
            "--format",
            "docker",
            *(f"--volume={each}:{each}:ro" for each in mounted(self.site)),
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            "--tag",
            IMAGE,
            self.site.tree,
            timeout=BUILD_TIMEOUT_S,
        )

    def inspected(self) -> tuple[dict[str, Any], int, int]:
        """Return the image's configuration, its size and that of its own layers above the base, both in bytes."""
        told = cast("dict[str, Any]", json.loads(self("inspect", "--type", "image", IMAGE)))
        layers = [int(each["size"]) for each in json.loads(told["Manifest"])["layers"]]
        if len(layers) < 2:  # noqa: PLR2004 (the base's and ours)
            raise CheckFailed(f"the image has {len(layers)} layers, and none of ours is among them")
        return told["Docker"]["config"], sum(layers), sum(layers[1:])

    def root(self) -> tuple[str, Path]:
        """Make a container of the image, and return its name and where its root file system lies."""
        name = self("from", "--pull-never", IMAGE).strip()
        return name, Path(self("mount", name).strip())


def mounted(site: Site) -> list[str]:
    """Return the folders and files of this machine that the build is shown: trust, and where packages come from."""
    found = [str(Path(each).expanduser()) for each in CONFIGURATION]
    # An index or a folder of wheels on this machine, which its pip is told of.
    told = site.command(sys.executable, "-m", "pip", "config", "list").stdout
    words = told.replace("=", " ").replace("'", " ").replace("\\n", " ").split()
    found += [word.removeprefix("file://").removesuffix("/simple") for word in words]
    return sorted({each for each in found if each.startswith("/") and Path(each).exists()})


def base(site: Site) -> Path:
    """Return a tar of a Debian with Python, made now or within BASE_KEPT. Raises CheckNotRun where none can be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "zanari"
    mirror = _mirror(site)
    kept = cache / base_name(SUITE, BASE_PACKAGES, mirror)
    if kept.exists() and time.time() - kept.stat().st_mtime < BASE_KEPT.total_seconds():
        return kept
    site.say(f"making a base of Debian {SUITE}, kept in {cache} for {BASE_KEPT.days} days")
    cache.mkdir(parents=True, exist_ok=True)
    root = site.scratch / "debian"
    made = site.command(
        "debootstrap",
        "--variant=minbase",
        f"--include={BASE_PACKAGES}",
        SUITE,
        root,
        *([mirror] if mirror else ()),
        timeout=BASE_TIMEOUT_S,
    )
    if made.returncode != 0:
        raise CheckNotRun(f"no Debian {SUITE} to build on: {made.stdout.strip().splitlines()[-1:]}")
    packed(site, root, kept)
    shutil.rmtree(root)
    return kept


def packed(site: Site, root: Path, kept: Path) -> None:
    """Pack a folder as a tar that is whole or not there, whoever else is making one. Raises CheckFailed."""
    with tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".tar", delete=False) as unfinished:
        made = Path(unfinished.name)
    try:
        site.succeed("tar", "-C", root, "--exclude=./var/cache/apt/archives/*", "-cf", made, ".")
        made.rename(kept)
    finally:
        made.unlink(missing_ok=True)


def base_name(suite: str, packages: str, mirror: str | None) -> str:
    """Return the name of a base: one of other packages, or from elsewhere, is another. It does not tell the mirror."""
    made_of = hashlib.sha256("\n".join((suite, packages, mirror or "")).encode())
    return f"base-{suite}-{made_of.hexdigest()[:12]}.tar"


def _mirror(site: Site) -> str | None:
    """Return where this machine gets its Debian from; None where it does not say."""
    told = site.command("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages")
    return next((line.split()[0] for line in told.stdout.splitlines() if line.endswith(f" {SUITE}")), None)


def variables_of_image(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that the image sets."""
    return dict(cast("str", each).split("=", 1) for each in config["Env"])
