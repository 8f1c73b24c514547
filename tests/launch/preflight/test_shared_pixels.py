"""Sensitive images among the public ones, by content: counted for their owner, written nowhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from configs.loading import load
from configs.schema import Image
from launch.preflight.checked_setup import planned
from launch.preflight.shared_pixels import overlap
from tests.datamodules.class_images import store_of, write_classes
from tests.launch.runs import TINY, privimage

pytestmark = pytest.mark.slow


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Sensitive images (8 for training, 4 for testing), and public images that include copies of 3 and 1 of them."""
    for name, count, seed in (("mine", 4, 1), ("held out", 2, 2), ("open", 6, 3)):
        write_classes(
            tmp_path / name, {"a": count, "b": count, "c": count} if name == "open" else {"a": count, "b": count}, seed
        )
    shutil.copy(tmp_path / "mine" / "a" / "001.png", tmp_path / "open" / "b" / "another name.png")
    shutil.copy(tmp_path / "mine" / "b" / "000.JPEG", tmp_path / "open" / "c" / "again.JPEG")
    Pillow.open(tmp_path / "mine" / "b" / "001.png").save(tmp_path / "open" / "c" / "without losses.bmp")
    shutil.copy(tmp_path / "held out" / "b" / "001.png", tmp_path / "open" / "c" / "held out.png")
    return [
        *(word for word in TINY if not word.startswith("public.")),
        *(
            "sensitive.name=folder",
            f"sensitive.root={tmp_path / 'mine'}",
            f"sensitive.test_root={tmp_path / 'held out'}",
        ),
        *("public.name=folder", f"public.root={tmp_path / 'open'}", "image.resolution=9", "image.channels=3"),
        *("privacy.delta=1e-2", "finetune.batch_size=5", f"run.root={tmp_path / 'runs'}", "query.semantics=1"),
    ]


def test_copies_are_counted_whatever_file_they_are_in(words: list[str], tmp_path: Path) -> None:
    found = overlap(planned(load("demo", words)), progress=False)
    assert found.found == {"training": 3, "test": 1} and found.of == {"training": 8, "test": 4}
    assert found.categories == {"b": 1, "c": 3}


def test_an_image_that_is_there_twice_is_two_images(words: list[str], tmp_path: Path) -> None:
    """In either set."""
    shutil.copy(tmp_path / "mine" / "a" / "001.png", tmp_path / "mine" / "b" / "twice.png")
    shutil.copy(tmp_path / "mine" / "b" / "001.png", tmp_path / "open" / "a" / "twice.png")
    found = overlap(planned(load("demo", words)), progress=False)
    assert found.found == {"training": 4, "test": 1} and found.categories == {"a": 1, "b": 1, "c": 3}


def test_stores_and_embedded_sets_are_compared(words: list[str], tmp_path: Path) -> None:
    given = [word for word in words if not word.startswith("public.")]
    store = store_of(tmp_path / "open", tmp_path / "open.beton", Image(9, 3))
    stored = overlap(
        planned(load("demo", [*given, "public.name=imagenet", f"public.store={store}", "public.test_fraction=0.2"])),
        progress=False,
    )
    assert stored == overlap(planned(load("demo", words)), progress=False)
    made = overlap(planned(load("demo", TINY)), progress=False)
    assert made.found == {"training": 0, "test": 0} and made.of == {"training": 1437, "test": 360}


def test_one_pixel_makes_another_image(words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "open" / "b" / "another name.png"
    pixels = np.array(Pillow.open(path).resize((9, 9)))
    for root in ("mine/a/001.png", "open/b/another name.png"):
        Pillow.fromarray(pixels).save(tmp_path / root)
        assert overlap(planned(load("demo", words)), progress=False).found["training"] == (
            2 if root.startswith("mine") else 3
        )
    pixels[4, 4] ^= 1
    Pillow.fromarray(pixels).save(path)
    assert overlap(planned(load("demo", words)), progress=False).found["training"] == 2


def test_the_command_prints_counts_says_what_they_are_and_writes_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert privimage("preflight", "demo", *words, "--no-measure", "--overlap") == 0
    text = capsys.readouterr().out
    assert "overlap: 3 of 8 training images and 1 of 4 test images have the pixels of a public image" in text
    assert "in the public categories 'b' (1), 'c' (3): remove them" in text
    assert "NOT PRIVATE" in text and "no guarantee covers it" in text
    assert privimage("preflight", "demo", *words, "--no-measure", "--overlap", "--json") == 0
    told = json.loads(capsys.readouterr().out)["overlap"]
    assert told["found"] == {"training": 3, "test": 1} and not told["private"] and "no guarantee" in told["notice"]
    assert sorted(tmp_path.rglob("*")) == before


def test_without_the_option_nothing_is_read(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (tmp_path / "mine").rglob("*.*"):
        file.write_text("no image: whoever opens it fails")
    assert privimage("preflight", "demo", *words, "--no-measure") == 0
    assert "overlap" not in capsys.readouterr().out
    assert privimage("preflight", "demo", *words, "--no-measure", "--overlap") == 2


@pytest.mark.parametrize("kind", ["folder", "imagenet"])
def test_a_sensitive_file_that_cannot_be_read_is_not_named_in_a_log(
    words: list[str], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine" / "a" / "miss-smith.png").write_text("no image")
    given = [word for word in words if kind == "folder" or not word.startswith("sensitive.")]
    given += [f"sensitive.name={kind}", f"sensitive.root={tmp_path / 'mine'}"]
    assert privimage("preflight", "demo", *given, "--no-measure", "--overlap") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("privimage: sensitive.root: files that cannot be read as images. On a terminal")
    assert "smith" not in last
