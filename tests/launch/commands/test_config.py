"""`privimage config` and what all commands on an experiment share."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import pytest

from configs.fields import walk
from configs.loading import load
from configs.presets import preset_names
from configs.registry import Catalogue
from tests.launch.runs import privimage


@pytest.mark.slow
@pytest.mark.parametrize("experiment", preset_names("experiments"))
def test_what_is_printed_is_the_experiment(experiment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("config", experiment, "finetune.steps=7") == 0
    saved = tmp_path / "mine.yaml"
    saved.write_text(capsys.readouterr().out)
    assert load(str(saved)) == load(experiment, ["finetune.steps=7"])


def test_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("config", "demo", "--json") == 0
    assert json.loads(capsys.readouterr().out) == dataclasses.asdict(load("demo"))


def test_overrides_may_stand_on_both_sides_of_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("config", "demo", "finetune.steps=7", "--json", "run.name=a") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["finetune"]["steps"], told["run"]["name"]) == (7, "a")


@pytest.mark.parametrize("command", ["run", "preflight", "config"])
def test_help_teaches_every_key(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage(command, "demo", "--help", "privacy.epsilon=3") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: privimage {command}") and "key=value" in text
    for path, value in walk(load("demo", ["privacy.epsilon=3"])):
        assert f"  {path}={'null' if value is None else value}\n" in text
    assert "privacy.epsilon=3.0\n      a number >= 1e-06 and <= 1000000; privacy budget of the whole run" in text
    assert "      text, one of rdp, prv; " in text and "null,;" not in text
    assert f"[sensitive.name: {', '.join(Catalogue.all['source'].names())}]" in text


def test_help_without_an_experiment_names_the_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("run", "--help") == 0
    assert f"a preset ({', '.join(preset_names('experiments'))}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", ["run", "preflight", "config"])
def test_without_an_experiment_they_are_named(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage(command) == 2
    assert capsys.readouterr().err.startswith(
        f"privimage: which experiment? There are: {', '.join(preset_names('experiments'))}"
    )


@pytest.mark.parametrize("command", ["run", "preflight", "config"])
@pytest.mark.parametrize("words", [["demo", "privacy.epsilom=1"], ["demmo"], ["demo", "privacy.epsilon=0"]])
def test_a_mistake_is_one_line(command: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage(command, *words) == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith("privimage: ") and output.err.count("\n") == 1


def test_a_preset_that_was_made_for_other_images_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, told in [(["demo"], False), (["demo", "sensitive.name=folder"], True), (["own.yaml"], False)]:
        (tmp_path / "own.yaml").write_text("sensitive: {name: folder}")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            assert privimage("config", *words) == 0
        said = capsys.readouterr().err
        assert ("the settings of 'demo' are for digits" in said and "privimage init" in said) == told
