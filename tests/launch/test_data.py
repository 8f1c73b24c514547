"""The two sources of a run, and messages that tell them apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image as Pillow

from configs.errors import UserError
from launch.config import load
from launch.data import naming, public_source, read, sensitive_source


@pytest.mark.parametrize(("section", "source"), [("sensitive", sensitive_source), ("public", public_source)])
def test_messages_name_the_section(tmp_path: Path, section: str, source) -> None:
    with pytest.raises(UserError, match=rf"^{section}\.root: no folder at 'nowhere'"):
        source(load("demo", [f"{section}.name=folder", f"{section}.root=nowhere"]))
    (tmp_path / "a").mkdir()
    Pillow.new("L", (9, 9)).save(tmp_path / "a" / "fine.png")
    (tmp_path / "a" / "bad.png").write_text("no image")
    words = [f"{section}.name=folder", f"{section}.root={tmp_path}", f"{section}.test_root={tmp_path}"]
    built = source(load("demo", words))
    with pytest.raises(UserError, match=rf"^{section}\.root: .*'a/bad\.png'.*corrupt=skip"):
        read(section, built, progress=False)
    with pytest.raises(UserError, match=rf"^{section}\.test_root: .*'a/bad\.png'"):
        read(section, built, test=True, progress=False)
    skipping = source(load("demo", [*words, f"{section}.corrupt=skip"]))
    with pytest.warns(UserWarning, match="unreadable files were skipped"):
        assert len(read(section, skipping, progress=False)) == 1


def test_training_and_test_images_are_told_apart() -> None:
    source = sensitive_source(load("demo"))
    assert (len(read("sensitive", source)), len(read("sensitive", source, test=True))) == (1437, 360)


def test_other_errors_pass_untouched() -> None:
    with pytest.raises(ZeroDivisionError), naming("public"):
        1 / 0  # noqa: B018
