"""Whole runs whose public images stay on disk: the same release as from memory, with every reader."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.errors import UserError
from configs.loading import load
from configs.schema import Image
from datamodules.store.store import side_file
from launch.training.checkpointing import StepCheckpoint
from tests.datamodules.class_images import gone_but, helpers, needs_ffcv, store_of, write_classes
from tests.launch.runs import FIXED, TINY, privimage, same_release
from tests.launch.setups import check_experiment

pytestmark = pytest.mark.slow

SHARE = "public.test_fraction=0.1"
STORE = "public.name=imagenet", SHARE, "public.store={store}"


class Runs:
    """Tiny runs on the same public images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = write_classes(folder / "images", {f"{number}": 30 for number in range(11)})
        self.store = store_of(self.root, folder / "public.beton", Image(8, 1))

    def words(self, name: str, *overrides: str) -> list[str]:
        tiny = [word for word in TINY if not word.startswith("public.")]
        places = [word.format(root=self.root, store=self.store) for word in overrides]
        return ["run", "demo", f"run.root={self.folder}", f"run.name={name}", *tiny, FIXED, *places, "-q"]

    def release(self, name: str, *overrides: str) -> Path:
        if not (self.folder / name).exists():
            assert privimage(*self.words(name, *overrides)) == 0
        return self.folder / name

    @property
    def in_memory(self) -> Path:
        return self.release("memory", "public.name=folder", SHARE, "public.root={root}")


@pytest.fixture(scope="module", autouse=True)
def same_noise() -> Iterator[None]:
    """A stage's noise depends on its fingerprint, and so on the public source's name; in these runs it must not."""
    with pytest.MonkeyPatch.context() as patch:
        name_alone = lambda step, context: hashlib.sha256(step.name.encode()).hexdigest()  # noqa: E731
        patch.setattr("launch.run.do_or_skip.fingerprint_of", name_alone)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize(
    "public",
    [
        (*STORE, "launch.reader=ffcv"),
        (*STORE, "launch.reader=plain", "launch.workers=2"),
        ("public.name=imagenet", SHARE, "public.root={root}", "launch.workers=0"),
    ],
    ids=["ffcv", "plain", "folder"],
)
def test_a_run_releases_what_it_does_with_all_images_in_memory(
    runs: Runs, public: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    if name == "ffcv":
        needs_ffcv()
    path = runs.release(name, *public)
    assert same_release(path, runs.in_memory)
    assert {file.name for file in (path / "stages" / "select" / "images").iterdir()} == {
        "rows.npy", "labels.npy", "indexed_set.json"
    }  # fmt: skip
    ours, theirs = (json.loads((run / "internal" / "scores.json").read_text()) for run in (path, runs.in_memory))
    assert ours == theirs


def stopped(words: list[str], stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a run that a signal stops after two steps of a stage."""
    save = StepCheckpoint.save

    def stopping(self: StepCheckpoint, trainer: Any) -> None:
        save(self, trainer)
        if self.done == 2 and self.folder.parent.name == stage:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(StepCheckpoint, "save", stopping)
        assert privimage(*words) == 128 + signal.SIGTERM


@pytest.mark.parametrize(("reader", "other"), [("ffcv", "plain"), ("plain", "auto")])
def test_stopped_by_a_signal_nothing_reads_on_and_another_reader_goes_on(
    runs: Runs, reader: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reader == "ffcv":
        needs_ffcv()
    words = runs.words(f"stopped {reader}", *STORE, "launch.workers=2")
    before = helpers()
    for stage, now in (("classifier", reader), ("pretrain", other)):
        stopped([*words, f"launch.reader={now}"], stage, monkeypatch)
        assert gone_but(before)
    assert privimage(*words, f"launch.reader={reader}") == 0
    assert same_release(runs.folder / f"stopped {reader}", runs.in_memory)


def test_a_store_that_was_made_anew_from_other_images_is_noticed(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_classes(tmp_path / "images", {f"{number}": 3 for number in range(11)})
    store = store_of(root, tmp_path / "public.beton", Image(8, 1))
    words = [*runs.words("changed", "public.name=imagenet", f"public.store={store}"), "launch.reader=plain"]
    stopped(words, "pretrain", monkeypatch)
    for file in (store, side_file(store)):
        file.unlink()
    store_of(write_classes(root, {"0": 4}), store, Image(8, 1))
    capsys.readouterr()
    assert privimage(*words) == 2
    assert "was made from other public images than the present ones" in capsys.readouterr().err


def test_preflight_measures_on_a_store(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in runs.words("measured", *STORE) if word not in ("run", "-q")]
    assert privimage("preflight", *words, "--json") == 0
    assert all(row["seconds"] > 0 for row in json.loads(capsys.readouterr().out)["estimates"])


@pytest.mark.parametrize(
    ("public", "message"),
    [
        (["public.store=x.beton"], r"^public\.store: no file at 'x\.beton'\. Make it with `privimage prepare imagenet"),
        (["public.store={store}", "image.resolution=16"], r"^public\.store: .*8x8 .*image\.resolution=16"),
        (["public.root=nowhere"], r"^public\.root: no folder at 'nowhere'"),
        ([], r"^public\.store: neither .* Give public\.store=FILE\.beton, .*or public\.root=DIR"),
        (["public.root={root}", "public.store={store}"], r"^public\.store: both store and root"),
    ],
)
def test_what_is_wrong_with_a_store_is_said_before_anything_is_begun(runs: Runs, public: list[str], message) -> None:
    given = [word.format(root=runs.root, store=runs.store) for word in public]
    with pytest.raises(UserError, match=message):
        check_experiment(load("demo", ["public.name=imagenet", *given]))


@pytest.mark.parametrize("public", ["root={root}", "store={store}"])
def test_a_store_of_the_sensitive_images_is_refused(runs: Runs, public: str) -> None:
    given = [f"public.{public.format(root=runs.root, store=runs.store)}", "public.name=imagenet"]
    for sensitive in (runs.root, runs.root.parent):
        words = [*given, "sensitive.name=folder", f"sensitive.root={sensitive}"]
        with pytest.raises(UserError, match=r"^public: the same images as sensitive"):
            check_experiment(load("demo", words))
