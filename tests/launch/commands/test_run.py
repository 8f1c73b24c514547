"""`privimage run`: what it prints, and what it refuses before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch.runs import errors, privimage, run_words

pytestmark = pytest.mark.slow


def test_json_is_the_guarantee_and_where_things_are(
    finished: Path, copied: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied(finished)
    assert privimage(*run_words(path, report=True), "--json") == 0
    output = capsys.readouterr()
    told = json.loads(output.out)
    assert output.err == ""
    assert 9.9 <= told["epsilon"] <= 10 and told["delta"] == 5e-5 and told["accountant"] == "rdp"
    assert told["private"] is True
    assert told["release"] == str(path / "release") and Path(told["report"]).is_file()


def test_a_person_sees_a_line_a_stage_and_the_guarantee(finished: Path) -> None:
    text = finished.with_name("output").read_text().splitlines()
    lines = [line for line in text if not line.startswith("privimage: warning: ")]
    assert [line.split()[0] for line in lines[2:10]] == [
        "classifier", "query", "select", "pretrain", "finetune", "synthesize", "evaluate", "report"
    ]  # fmt: skip
    assert lines[0] == "whole: privimage_d on digits, public glyphs"
    told = json.loads((finished / "release" / "privacy.json").read_text())
    stated = next(line for line in lines if line.startswith("  guarantee"))
    assert told["epsilon"] <= float(stated.split("ε = ")[1].split(",")[0]) <= 10
    assert any(line.startswith("  publish") and str(finished / "release") in line for line in lines)


def test_quiet_prints_nothing(
    finished: Path, copied: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert privimage(*run_words(copied(finished), report=True), "-q") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["privacy.epsilom=1"], "privacy.epsilom: unknown key. Did you mean privacy.epsilon?"),
        (["privacy.epsilon=0"], "privacy.epsilon: got 0.0; allowed is a number >= 1e-06 and <= 1000000."),
        (["privacy.epsilon=-2"], "privacy.epsilon: got -2"),
        (["privacy.epsilon=nan"], "privacy.epsilon: got nan"),
        (["sensitive.name=folder", "sensitive.root=no/where"], "sensitive.root: no folder at 'no/where'."),
        (["sensitive.name=mnist", "sensitive.root=no/where"], "sensitive.root: no folder at 'no/where'."),
        (["query.noise_multiplier=0.1"], "alone costs epsilon"),
        (["privacy.delta=0.01"], "privacy.delta=0.01 is not below 1/n"),
        (["finetune.batch_size=1438"], "finetune.batch_size: got 1438"),
        (["privacy.insecure_key=12"], "privacy.insecure_key must be 64 hexadecimal digits"),
        (["run.name=a/b"], "run.name: got 'a/b'"),
        (["evaluate.classifiers=[svm]"], "evaluate.classifiers: there is no 'svm'"),
        (["launch.accelerator=tpu"], "launch.accelerator: got 'tpu'; allowed is text, one of auto, cpu, cuda."),
    ],
)
def test_bad_input_is_one_message_and_begins_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], message: str
) -> None:
    assert privimage(*run_words(tmp_path / "whole", *overrides)) == 2
    output = capsys.readouterr()
    (said,) = errors(output.err)
    assert output.out == "" and message in said
    assert list(tmp_path.iterdir()) == []


def test_a_public_category_without_images_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("full/1.png", "full/2.png", "full/3.png", "empty/notes.txt"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()
    for given in ("public.name=folder", "public.name=imagenet"):
        words = [word for word in run_words(tmp_path / "run") if not word.startswith("public.")]
        assert privimage(*words, given, f"public.root={tmp_path / 'data'}") == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("privimage: public.root: category 'empty' has no images")


def test_a_root_that_is_no_folder_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert privimage(*run_words(tmp_path / "file" / "run")) == 2
    output = capsys.readouterr()
    assert "cannot be a run's folder" in output.err and output.err.count("\n") == 1
