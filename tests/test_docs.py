"""The documents are correct: named tests exist, keys and commands are accepted, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from configs.fields import walk
from configs.loading import load, parse_overrides
from launch.commands import parse
from launch.commands.sweep import split

FILES = (".py", ".npz", ".png", ".json", ".yaml")
ROOT = Path(__file__).resolve().parent.parent
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
DOCUMENTS = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").glob("*.md"))]


def named_tests(text: str) -> list[tuple[str, str | None]]:
    """(file, test) of every `file.py::test` in a document; `::test` by itself belongs to the file named before it."""
    found: list[tuple[str, str | None]] = []
    file = ""
    for name in re.findall(r"`([^`\s]*\.py(?:::\w+)?|::\w+)`", text):
        path, _, test = name.partition("::")
        file = path or file
        if "test_" in file:
            found.append((file, test or None))
    return found


def test_every_test_that_the_privacy_page_names_exists() -> None:
    names = named_tests((ROOT / "docs" / "privacy.md").read_text())
    assert len(names) > 25
    for file, test in names:
        pattern = file.replace("…/", "**/")
        matches = list((ROOT / "tests").glob(pattern))
        assert matches, f"docs/privacy.md names {file}, which is not there"
        assert test is None or any(f"def {test}(" in path.read_text() for path in matches), f"{file}::{test}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def anchors(document: Path) -> set[str]:
    """The anchors of a document, which `#…` may name: its headings, as GitHub turns them into anchors."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_headings(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", document.read_text()):
        if not target.startswith(("http://", "https://")):
            other = document.parent / target if target else document
            assert anchor in anchors(other), f"{document.name} links to {target}#{anchor}"


def commands(text: str) -> list[list[str]]:
    """The words of each `privimage …` line in a document's code blocks; `\\` continues a line."""
    blocks = "\n".join(re.findall(r"```(?:\w*)\n(.*?)```", text, flags=re.DOTALL)).replace("\\\n", " ")
    lines = [line.split("#")[0].split(">")[0] for line in blocks.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("privimage ")]


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_are_accepted(document: Path) -> None:
    for words in commands(document.read_text()):
        options = parse(words)
        if words[0] == "sweep":  # the first of every key's values
            options.overrides = [f"{key}={values[0]}" for key, values in map(split, options.overrides)]
        if getattr(options, "overrides", None) and not options.experiment.endswith(".yaml"):
            load(options.experiment, options.overrides)
        elif getattr(options, "overrides", None):
            parse_overrides(options.overrides)


def test_keys_named_in_the_documents_exist() -> None:
    variants: list[list[str]] = [
        [],
        ["sensitive.name=folder"],
        ["public.name=folder"],
        ["public.name=imagenet"],
        ["sensitive.name=celeba"],
        ["generator.name=gan"],
    ]
    known = {path for variant in variants for path, _ in walk(load("demo", variant))}
    sections = {path.split(".")[0] for path in known if "." in path}
    for document in DOCUMENTS:
        for name in re.findall(r"`([a-z_]+\.[a-zA-Z_.]+)`", document.read_text()):
            if name.split(".")[0] in sections and not name.endswith(FILES):
                assert name in known or any(path.startswith(name + ".") for path in known) or "preset" in name, (
                    f"{document.name} names the key {name}"
                )


def test_make_docs_covers_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = re.search(r"^PACKAGES := (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert named is not None
    assert sorted(named[1].split()) == sorted(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
