"""What is published: its form, its statement, and its mark if it is not private."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from safetensors import safe_open

from accounting.composition import epsilon
from accounting.groups import group_table
from accounting.ledger import Ledger
from accounting.run_key import RunKey
from configs.errors import UserError
from configs.loading import load
from datamodules.sets.image_set import ImageSet
from launch.components import new_generator
from launch.run.directory import RunDirectory
from launch.run.file_times import RELEASED_AT
from launch.run.guarantee import Guarantee
from launch.run.release import (
    privacy_statement,
    read_images,
    readable_statement,
    write_images,
    write_release,
)
from launch.run.released import load_model
from tests.launch.runs import FIXED, RELEASE, TINY, times
from tests.launch.setups import plan

pytestmark = pytest.mark.slow

NAMES = tuple("0123456789")


@pytest.fixture
def images() -> ImageSet:
    rng = np.random.default_rng(0)
    labels = np.arange(30, dtype=np.int64) % 10
    return ImageSet(rng.integers(0, 256, (30, 3, 8, 6), dtype=np.uint8), labels, NAMES)


def charged(folder: Path, *overrides: str) -> tuple:
    """A configuration and a ledger to which its whole plan is charged."""
    config = load("demo", [*TINY, *overrides])
    budget = plan(config)
    insecure = config.privacy.insecure_key
    terms = {"epsilon": budget.epsilon, "delta": budget.delta, "n": budget.n, "accountant": budget.accountant}
    ledger = Ledger.open(folder / "ledger.jsonl", **terms, insecure=insecure is not None)
    key = RunKey.create_or_load(folder / "key", insecure)
    for mechanism in budget.mechanisms:
        ledger.reserve(mechanism, stage=mechanism.name, fingerprint="f", run_key=key)
    return config, ledger


# --- images


def test_images_are_stored_as_others_read_them(tmp_path: Path, images: ImageSet) -> None:
    write_images(tmp_path / "set.npz", images, None)
    with np.load(tmp_path / "set.npz", allow_pickle=False) as data:
        assert set(data.files) == {"images", "labels", "class_names"}
        assert data["images"].dtype == np.uint8 and data["images"].shape == (30, 8, 6, 3)
        assert np.array_equal(data["images"][7, 2, 5], images.images[7, :, 2, 5])
        assert data["labels"].dtype == np.int64 and np.array_equal(data["labels"], images.labels)
        assert data["class_names"].tolist() == list(NAMES)


def test_the_statement_comes_last(tmp_path: Path, images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash leaves no statement next to an incomplete release."""
    config, ledger = charged(tmp_path / "run")
    written, replace = [], os.replace

    def watched(source: Path, target: Path) -> None:
        written.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_release(
        RunDirectory(tmp_path / "run", Guarantee.of(config)), config, ledger, images, new_generator(config, 10)
    )
    assert set(written) == RELEASE and written.index("privacy.json") == len(written) - 1


def test_images_come_back(tmp_path: Path, images: ImageSet) -> None:
    write_images(tmp_path / "set.npz", images, "a notice")
    again = read_images(tmp_path / "set.npz")
    assert np.array_equal(again.images, images.images) and np.array_equal(again.labels, images.labels)
    assert again.class_names == NAMES


@pytest.mark.parametrize("kept", [0, 3, 200])
def test_damaged_images_are_one_message(tmp_path: Path, images: ImageSet, kept: int) -> None:
    path = tmp_path / "set.npz"
    write_images(path, images, None)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match="cannot read the synthetic images"):
        read_images(path)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.array([{"an": "object"}]), labels=np.zeros(1, np.int64), class_names=["a"])
    with pytest.raises(UserError, match="cannot read the synthetic images"):
        read_images(tmp_path / "set.npz")


# --- the statement


def test_the_statement_says_what_the_guarantee_rests_on(tmp_path: Path) -> None:
    config, ledger = charged(tmp_path)
    told = privacy_statement(Guarantee.of(config), ledger)
    assert told["epsilon"] == epsilon(ledger.mechanisms(), 5e-5) <= 10
    assert (told["delta"], told["accountant"], told["records"], told["private"]) == (5e-5, "rdp", 1437, True)
    assert told["neighbouring_relation"].startswith("add or remove one record")
    assert told["groups"] == group_table(ledger.mechanisms(), 5e-5) and not any("m ε" in t for t in told["assumptions"])
    assert [row["name"] for row in told["mechanisms"]] == ["semantic query", "dp-sgd"]
    assert {"noise_multiplier", "sensitivity", "sampling_rate", "steps"} <= told["mechanisms"][1].keys()
    assert told["ledger_head"] == ledger.head and "notice" not in told
    assert {"privimage", "torch", "opacus"} <= told["software"].keys()
    assert json.loads(json.dumps(told)) == told


def test_the_readable_statement_holds_the_same(tmp_path: Path) -> None:
    config, ledger = charged(tmp_path)
    told = privacy_statement(Guarantee.of(config), ledger)
    text = readable_statement(told)
    stated = float(text.split("(ε = ")[1].split(",")[0])
    assert told["epsilon"] <= stated < told["epsilon"] + 1.1e-4
    for part in (
        "δ = 5e-05",
        "add or remove one record",
        "RDP",
        "1437",
        "semantic query",
        "dp-sgd",
        told["ledger_head"][:16],
    ):
        assert part in text
    assert all(line in text for line in told["assumptions"])
    groups = re.findall(r"^\| (\d+) \| ([\d.]+) \|$", text, flags=re.MULTILINE)
    assert [int(records) for records, _ in groups] == [2, 5, 10]
    for (_, shown), row in zip(groups, told["groups"], strict=True):
        assert row["epsilon"] <= float(shown) < row["epsilon"] + 1.1e-4
    assert float(groups[0][1]) > 2 * told["epsilon"]
    assert "NOT PRIVATE" not in text and "has been destroyed" in text


def test_a_statement_of_a_fixed_key_claims_no_secret(tmp_path: Path) -> None:
    config, ledger = charged(tmp_path, FIXED)
    told = privacy_statement(Guarantee.of(config), ledger)
    assert "NOT PRIVATE" in told["notice"]
    assert not any("drawn by the operating system" in text for text in told["assumptions"])


def test_what_is_spent_counts_and_not_what_was_meant(tmp_path: Path) -> None:
    config, ledger = charged(tmp_path)
    more = load("demo", [*TINY, "privacy.epsilon=20"])
    assert (
        privacy_statement(Guarantee.of(more), ledger)["epsilon"]
        == privacy_statement(Guarantee.of(config), ledger)["epsilon"]
    )


# --- the whole release


def test_a_release_holds_the_documented_files_and_a_model_that_loads(tmp_path: Path, images: ImageSet) -> None:
    config, ledger = charged(tmp_path)
    directory = RunDirectory(tmp_path, Guarantee.of(config))
    model = new_generator(config, 10)
    write_release(directory, config, ledger, images, model)
    assert {entry.name for entry in directory.release.iterdir()} == RELEASE
    assert Pillow.open(directory.release / "samples.png").size[0] > 50


@pytest.mark.parametrize("fixed", [False, True])
def test_equal_releases_have_equal_bytes_and_times(tmp_path: Path, fixed: bool) -> None:
    """For any duration of the work before: nothing in a file or next to it says when it was written."""
    pixels = np.random.default_rng().integers(0, 256, (12, 3, 6, 6), dtype=np.uint8)
    images = ImageSet(pixels, np.arange(12, dtype=np.int64) % 10, NAMES)
    config, ledger = charged(tmp_path, *([FIXED] if fixed else []))
    model, found = new_generator(config, 10), []
    for number, now in enumerate((0, 2**30, 2**32)):
        directory = RunDirectory(tmp_path / str(number), Guarantee.of(config))
        directory.release.mkdir(parents=True)
        with mock.patch("time.time", lambda now=now: float(now)):
            write_release(directory, config, ledger, images, model)
        assert times(directory.release) == {RELEASED_AT * 10**9}
        found.append({file.name: file.read_bytes() for file in directory.release.iterdir()})
    assert found[0] == found[1] == found[2] and found[0].keys() == RELEASE
    with zipfile.ZipFile(directory.release / "synthetic.npz") as file:
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_release_that_is_written_again_bears_the_same_times(tmp_path: Path, images: ImageSet) -> None:
    config, ledger = charged(tmp_path)
    directory = RunDirectory(tmp_path, Guarantee.of(config))
    for _ in range(2):
        write_release(directory, config, ledger, images, new_generator(config, 10))
        assert times(directory.release) == {RELEASED_AT * 10**9}
        (directory.release / "model.json").unlink()


def test_a_released_model_samples_the_same(tmp_path: Path, images: ImageSet) -> None:
    config, ledger = charged(tmp_path / "other")
    directory = RunDirectory(tmp_path / "run", Guarantee.of(config))
    directory.claim(config)
    model = new_generator(config, 10)
    with torch.no_grad():
        for parameter in model.trainable.parameters():
            parameter.add_(0.1)
    write_release(directory, config, ledger, images, model)
    again, names = load_model(directory.release)
    assert names == NAMES
    labels = torch.arange(10)
    samples = [one.sample(labels, torch.Generator().manual_seed(3)) for one in (model, again)]
    assert torch.equal(*samples)


def test_an_unfinished_run_has_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its method has no model"):
        load_model(tmp_path / "release")


def test_a_fixed_key_marks_every_output(tmp_path: Path, images: ImageSet) -> None:
    config, ledger = charged(tmp_path, FIXED)
    directory = RunDirectory(tmp_path, Guarantee.of(config))
    write_release(directory, config, ledger, images, new_generator(config, 10))
    plain = tmp_path / "plain"
    own, ledger = charged(plain)
    write_release(RunDirectory(plain, Guarantee.of(own)), own, ledger, images, new_generator(config, 10))
    for name in ("PRIVACY.md", "privacy.json", "model.json"):
        assert "NOT PRIVATE" in (directory.release / name).read_text()
        assert "NOT PRIVATE" not in (plain / "release" / name).read_text()
    for release, private in ((directory.release, False), (plain / "release", True)):
        assert ("notice" in json.loads((release / "model.json").read_text())) is not private
        with safe_open(release / "model.safetensors", "np") as file:
            assert ("NOT PRIVATE" in (file.metadata() or {}).get("notice", "")) is not private
        assert json.loads((release / "privacy.json").read_text())["private"] is private
        with zipfile.ZipFile(release / "synthetic.npz") as file:
            assert ("notice.npy" in file.namelist()) is not private
    marked, unmarked = (Pillow.open(release / "samples.png") for release in (directory.release, plain / "release"))
    assert marked.size[1] > unmarked.size[1]  # a line of text above the images
