"""The base that images are built on is kept whole, or not at all."""

from pathlib import Path

import pytest

from checks.check import CheckFailed, Site
from checks.image import base_name, packed


def test_a_base_is_packed_under_its_own_name_alone(tmp_path: Path) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache"
    for each in (root, cache):
        each.mkdir()
    (root / "file").write_text("content")
    packed(Site(tmp_path, tmp_path, say=lambda _: None), root, cache / "base.tar")
    assert [each.name for each in cache.iterdir()] == ["base.tar"]


def test_a_base_that_could_not_be_packed_leaves_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    with pytest.raises(CheckFailed, match="tar ended with"):
        packed(Site(tmp_path, tmp_path, say=lambda _: None), tmp_path / "gone", cache / "base.tar")
    assert list(cache.iterdir()) == []


def test_a_base_of_other_packages_or_from_elsewhere_is_another() -> None:
    names = {
        base_name(suite, packages, mirror)
        for suite in ("bookworm", "trixie")
        for packages in ("python3", "python3,python3-venv")
        for mirror in (None, "https://mirror.example/debian")
    }
    assert len(names) == 8
    assert not any("mirror" in name for name in names)
