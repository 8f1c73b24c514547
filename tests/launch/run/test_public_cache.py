"""What one run passes to another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.launch.runs import TINY, privimage

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore")
def test_nothing_that_saw_sensitive_images_is_shared(tmp_path: Path) -> None:
    for name in ("one", "two"):
        words = ["run", "demo", *TINY, f"run.root={tmp_path}", f"run.name={name}", f"run.share={tmp_path / 'shared'}"]
        assert privimage(*words) == 0
    assert [path.name.rpartition("-")[0] for path in (tmp_path / "shared").iterdir()] == ["classifier"]
    lines = {
        name: {
            path.parent.name: json.loads(path.read_text())["line"]
            for path in tmp_path.glob(f"{name}/stages/*/done.json")
        }
        for name in ("one", "two")
    }
    assert [role for role, line in lines["two"].items() if "(shared)" in line] == ["classifier"]
    assert not any("(shared)" in line for line in lines["one"].values())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("damage", ["record", "file", "gone"])
def test_a_damaged_share_is_passed_over(damage: str, tmp_path: Path) -> None:
    words = ["run", "demo", *TINY, f"run.root={tmp_path}", f"run.share={tmp_path / 'shared'}", "method=public_only"]
    assert privimage(*words, "run.name=one") == 0
    for folder in (tmp_path / "shared").iterdir():
        if damage == "record":
            (folder / "shared.json").write_text("{}")
        for path in (folder / "stage").rglob("*"):
            if path.is_file() and damage == "file":
                path.unlink()
                path.write_bytes(b"junk")
            elif path.is_file() and damage == "gone":
                path.unlink()
    assert privimage(*words, "run.name=two") == 0
    lines = [json.loads(path.read_text())["line"] for path in tmp_path.glob("two/stages/*/done.json")]
    assert lines and not any("(shared)" in line for line in lines)


@pytest.mark.filterwarnings("ignore")
def test_a_share_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    words = ["run", "demo", *TINY, f"run.root={tmp_path}", f"run.share={tmp_path / 'file'}", "method=public_only"]
    assert privimage(*words, "run.name=one") == 0
