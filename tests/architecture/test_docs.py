"""What the documents name is there: files, folders, verbs of make."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
FILE = re.compile(r"(?<![\w./*:-])(?!https?:)[\w./*-]*\w\.(?:py|sql|md|toml|sh)\b")
VERBS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def missing_files(text: str, *, near: Path) -> Iterator[str]:
    """Find names of files that are at none of the places a reader would look; a bare name may be anywhere."""
    for name in sorted(set(FILE.findall(text))):
        places = [near, ROOT, ROOT / "zanari_api"]
        patterns = [name] if "/" in name else [name, f"tests/**/{name}", f"zanari_api/**/{name}"]
        if not any(next(place.glob(pattern), None) for place in places for pattern in patterns):
            yield name


def unknown_verbs(text: str) -> Iterator[str]:
    """Find verbs of make, in code, that the Makefile does not have."""
    for line in re.findall(r"(?:`|^)make ([^`#\n]*)", text, re.MULTILINE):
        yield from (word for word in line.split() if "=" not in word and word not in VERBS)


def test_there_are_documents_to_look_at() -> None:
    assert {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "glossary.md"} <= {
        path.name for path in DOCUMENTS
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    # A name that leads upwards is a link's; it is looked up from the document's own folder.
    assert list(missing_files(text, near=document.parent)) == []
    assert list(unknown_verbs(text)) == []


@pytest.mark.parametrize(
    "planted", ["`kit/nothing.py`", "see tests/kit/test_nothing.py", "[why](docs/nothing.md)"]
)
def test_a_planted_name_of_no_file_is_found(planted: str) -> None:
    assert list(missing_files(planted, near=ROOT))


def test_a_planted_verb_is_found() -> None:
    assert list(unknown_verbs("run `make coffee`\nmake tea\n")) == ["coffee", "tea"]


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs/decisions/README.md").read_text()
    decisions = sorted(ROOT.glob("docs/decisions/0*.md"))
    assert decisions
    assert [path.name for path in decisions if f"({path.name})" not in listed] == []
