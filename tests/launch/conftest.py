"""Finished runs that many tests read; a test that changes one takes a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.loading import load
from evaluation import feature_map
from launch import components
from tests.launch.runs import FIXED, TINY, draw_shapes, finish, folder_words, privimage, run_words
from tests.launch.setups import plan

components.load()
feature_map.STEPS = 250  # the fewest that there may be: t-SNE takes a third of a tiny run's time otherwise


@pytest.fixture(scope="session", autouse=True)
def warmed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A whole run in this process first: the many that are forked later then find everything imported and set up.

    It takes five seconds and saves four for each of them, so it is left out if few tests are selected.
    """
    if sum("slow" in item.keywords for item in request.session.items) > 10:
        assert privimage(*run_words(tmp_path_factory.mktemp("warm") / "run", report=True), "-q") == 0


@pytest.fixture(scope="module")
def calibrated() -> None:
    """Compute the budget of the tiny run once, so that processes forked later inherit the result."""
    plan(load("demo", TINY))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a secret key; its console output is next to it."""
    path = tmp_path_factory.mktemp("finished") / "whole"
    code, text = finish(run_words(path, report=True), path.with_name("output"))
    assert code == 0, text
    return path


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a fixed key, never interrupted."""
    path = tmp_path_factory.mktemp("reference") / "fixed"
    code, text = finish(run_words(path, FIXED, report=True), path.with_name("output"))
    assert code == 0, text
    return path


@pytest.fixture(scope="session")
def folder_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on a folder of images that are not public, with a fixed key."""
    path = tmp_path_factory.mktemp("folder") / "mine"
    draw_shapes(path.parent / "data" / "train", seed=1, count=40)
    draw_shapes(path.parent / "data" / "test", seed=2, count=10)
    plan(load("demo", folder_words(path)[2:]))  # processes forked later inherit the result
    code, text = finish(folder_words(path, FIXED, report=True), path.with_name("output"))
    assert code == 0, text
    return path


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """Copies a run into the test's own folder."""
    return lambda run: Path(shutil.copytree(run, tmp_path / run.name))
