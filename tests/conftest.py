"""Settings of every test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import Phase, settings

settings.register_profile("privimage", deadline=None)  # a busy machine is slow: no test asserts a time
settings.register_profile("mutants", deadline=None, phases=[Phase.explicit, Phase.generate])  # any failure will do
settings.register_profile("fast", deadline=None, max_examples=10)  # of `make test-fast`
settings.load_profile("privimage")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make test-fast` does not even import a module whose tests are all slow."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return bool(re.search(r"^pytestmark = .*pytest\.mark\.slow", collection_path.read_text(), re.MULTILINE)) or None


LONG = ("processes", "studies")
"""Folders of tests that start jobs and comparisons."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that no process of pytest-xdist ends minutes after the others."""
    rank: dict[Path, tuple[bool, bool]] = {}
    for item in items:
        here = (item.path.parent.name not in LONG, "slow" not in item.keywords)
        rank[item.path] = min(rank.get(item.path, here), here)
    items.sort(key=lambda item: rank[item.path])  # stable: a file's tests stay together and in order
