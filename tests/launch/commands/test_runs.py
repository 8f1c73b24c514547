"""`privimage runs`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.loading import load
from datamodules.sources import SOURCES
from launch.run.directory import RunDirectory
from launch.run.overview import is_public
from tests.launch.runs import privimage, statement


@pytest.mark.slow
def test_every_run_is_a_line_that_shows_nothing_private(
    finished: Path, folder_run: Path, copied: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    whole, mine = copied(finished), copied(folder_run)
    stopped = whole.parent / "stopped"
    stopped.mkdir()
    (stopped / "config.yaml").write_bytes((whole / "config.yaml").read_bytes())
    broken = whole.parent / "broken"
    broken.mkdir()
    (broken / "config.yaml").write_text("nothing: 1")
    assert privimage("runs", str(whole.parent), "--json") == 0
    lines = {line["name"]: line for line in json.loads(capsys.readouterr().out)}
    assert list(lines) == ["broken", "mine", "stopped", "whole"]
    assert lines["whole"]["state"] == "finished" and lines["whole"]["epsilon"] == statement(whole)["epsilon"]
    assert lines["whole"]["score"].startswith("LR ") and lines["mine"]["score"] == ""
    assert lines["stopped"]["state"] == "stopped after 0 of 8 stages" and lines["stopped"]["epsilon"] is None
    assert "nothing: unknown key" in lines["broken"]["state"]
    with RunDirectory(stopped).lock():
        assert privimage("runs", str(whole.parent)) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["run", "state", "method", "images", "ε", "score"]
    assert any("running" in line and "of 10" in line for line in table)
    assert any(line.startswith("mine ") and "NOT PRIVATE" in line for line in table)  # its key is fixed
    assert mine.is_dir() and not lines["mine"]["private"] and lines["mine"]["epsilon"] is None
    for name, text in [("release/privacy.json", "[]"), ("internal/scores.json", '{"scores": [{}]}')]:
        kept = (whole / name).read_text()
        (whole / name).write_text(text)
        assert privimage("runs", str(whole.parent), "--json") == 0
        (line,) = [line for line in json.loads(capsys.readouterr().out) if line["name"] == "whole"]
        assert line["state"].startswith("damaged: ") and name in line["state"] and line["score"] == ""
        (whole / name).write_text(kept)


@pytest.mark.parametrize("name", SOURCES.names())
def test_no_score_is_shown_unless_a_source_says_that_its_images_are_public(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load("demo", [f"sensitive.name={name}"])
    assert is_public(config) == (not hasattr(config.sensitive, "public_benchmark"))
    if not hasattr(config.sensitive, "public_benchmark"):
        monkeypatch.setattr(SOURCES.implementation(name), "public_benchmark", False)
        assert not is_public(config)


def test_a_folder_without_runs_or_none_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("runs", str(tmp_path)) == 0
    assert "there are no runs" in capsys.readouterr().out
    assert privimage("runs", str(tmp_path / "none")) == 2
    assert "there is no folder" in capsys.readouterr().err
