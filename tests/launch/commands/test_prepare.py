"""`privimage prepare`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.datamodules.class_images import write_classes
from tests.launch.runs import errors, privimage


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "images", {"cat": 8, "dog": 5})


def words(root: Path, *more: str) -> list[str]:
    output = root.parent / "a.beton"
    return ["prepare", "imagenet", "--source", str(root), "--resolution", "8", "--output", str(output), *more]


def test_a_person_is_told_what_is_there_and_how_to_use_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # the second call finds it there
        assert privimage(*words(root)) == 0
        output = capsys.readouterr()
        assert output.out.startswith("13 images of 2 categories (5 to 8 each), 8x8 in 3 channel(s), ")
        assert f"public.store={root.parent / 'a.beton'} image.resolution=8 image.channels=3" in output.out
        assert output.err == ""


def test_json_is_the_same_for_a_program(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "cat" / "bad.png").write_text("no image")
    assert privimage(*words(root, "--channels", "1", "--corrupt", "skip", "--json", "--workers", "0")) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["images"], told["categories"], told["channels"], told["skipped"]) == (13, 2, 1, ["cat/bad.png"])
    assert told["bytes"] == Path(told["store"]).stat().st_size and Path(told["side_file"]).is_file()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--resolution", "2"], "--resolution: got 2; allowed is 4 or more."),
        (["--workers", "-1"], "--workers: got -1"),
        (["--output", "a.ffcv"], "--output: got 'a.ffcv'; the name of a store ends in .beton."),
        (["--source", "nowhere"], "--source: no folder at 'nowhere'"),
        (["--output", "/proc/a/a.beton"], "cannot write '/proc/a/.a.beton.partial'"),
    ],
)
def test_mistakes_get_one_message(
    root: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert privimage(*words(root, *more)) == 2
    found = errors(capsys.readouterr().err)
    assert len(found) == 1 and found[0].startswith(message)
    assert not (root.parent / "a.beton").exists()


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("prepare", "--help") == 0
    text = capsys.readouterr().out
    for taught in ("privimage prepare imagenet --source", "public.store=", "4.0 GB", "resumes where it was"):
        assert taught in text
