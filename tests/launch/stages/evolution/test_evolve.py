"""Private Evolution as a stage of a run: what it may spend, what it does not repeat, what it passes on."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accounting.access import PrivateAccess
from accounting.calibration import BudgetError
from accounting.gaussian import gaussian_epsilon, gaussian_mu
from configs.errors import UserError
from configs.loading import load
from datamodules.sets.image_set import ImageSet
from evaluation.scores import CONTROLS, EVOLVED
from launch.console import Console
from launch.run.release import read_images
from tests.launch.runs import (
    FIXED,
    TINY,
    ahead_of_the_ledger,
    charges,
    draw_shapes,
    finish,
    folder_words,
    generations,
    killed_at,
    killed_everywhere,
    privimage,
    run_words,
    statement,
)
from tests.launch.setups import check_experiment, plan

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SIM_PE = "method=sim_pe"
EXAMPLE = Path(__file__).parents[4] / "docs" / "examples" / "shapes.py"


def images(path: Path) -> np.ndarray:
    return read_images(path / "release" / "synthetic.npz").images


def test_all_of_the_budget_goes_into_the_votes_and_no_more() -> None:
    for epsilon in (1e-6, 0.2, 1.0, 10.0):
        found = plan(load("demo", [*TINY, SIM_PE, f"privacy.epsilon={epsilon}", "evolution.rounds=5"]))
        (mechanism,) = found.mechanisms
        assert found.composed() == pytest.approx(epsilon, rel=1e-6) and found.composed() <= epsilon
        assert gaussian_epsilon(math.sqrt(5) / mechanism.noise_multiplier, found.delta) == pytest.approx(epsilon)


def test_the_budget_is_split_as_configured() -> None:
    words = [*TINY, "method=privimage_evolved", "evolution.budget_share=0.3", "query.noise_multiplier=20"]
    found = plan(load("demo", words))
    votes = found.mechanism("private evolution")
    whole = gaussian_mu(10, found.delta) ** 2
    assert votes.steps / votes.noise_multiplier**2 == pytest.approx(0.3 * whole, rel=1e-6)
    assert [m.name for m in found.mechanisms] == ["semantic query", "private evolution", "dp-sgd"]
    assert 9.9 < found.composed() <= 10
    asked = "stages=[classifier,query,evolve,publish_evolved]"
    with pytest.raises(BudgetError, match=r"query\.noise_multiplier: 0\.1 leaves nothing"):
        plan(load("demo", [*TINY, SIM_PE, asked, "query.noise_multiplier=0.1"]))
    with pytest.raises(UserError, match=r"private evolution .* costs epsilon"):
        plan(load("demo", [*TINY, SIM_PE, "evolution.noise_multiplier=0.2"]))


POINTS: list[tuple[str, int, bool]] = [
    ("*/ledger.jsonl", 1, True),  # reserved, not started
    ("*/evolve/population-000.npz", 1, True),
    ("*/evolve/votes-000.npz", 1, False),
    ("*/evolve/votes-000.npz", 1, True),  # durable, and not yet in the ledger
    ("*/evolve/population-001.npz", 1, False),
    ("*/evolve/population-001.npz", 1, True),
    ("*/evolve/votes-001.npz", 1, True),
    ("*/evolve/outcome.npz", 1, False),
    ("*/evolve/done.json", 1, True),
    ("*/release/synthetic.npz", 1, False),
]


def test_killed_anywhere_it_ends_with_the_same_images_and_one_charge(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert privimage(*run_words(whole, SIM_PE, FIXED)) == 0
    killed_everywhere(broken, [POINTS[place] for place in (3, 6, 8)], SIM_PE, FIXED)
    assert np.array_equal(images(whole), images(broken))
    other = tmp_path / "other"
    assert privimage(*run_words(other, SIM_PE, f"privacy.insecure_key={'a5' * 32}")) == 0
    assert not np.array_equal(images(whole), images(other))  # other votes, other images
    with np.load(whole / "stages" / "evolve" / "outcome.npz") as outcome:
        assert len(np.unique(outcome["shares"])) > 2
    assert charges(broken) == ["private evolution"]
    assert statement(broken)["epsilon"] == statement(whole)["epsilon"] == pytest.approx(10)


def test_killed_anywhere_no_round_is_answered_twice(tmp_path: Path) -> None:
    """With a secret key, a second answer would have other noise than the first."""
    path, given = tmp_path / "run", dict[str, bytes]()
    for pattern, count, after in POINTS:
        killed_at(path, pattern, SIM_PE, count=count, after=after)
        assert ahead_of_the_ledger(path) == [], pattern
        answers = {file.name: file.read_bytes() for file in path.glob("stages/evolve/votes-*.npz")}
        assert given.items() <= answers.items(), pattern
        given = answers
    assert len(given) == 2
    code, text = finish(run_words(path, SIM_PE), tmp_path / "output")
    assert code == 0, text
    assert {file.name: file.read_bytes() for file in path.glob("stages/evolve/votes-*.npz")} == given
    assert len(generations(path, "private evolution")) > 1 and charges(path) == ["private evolution"]


def test_every_round_asks_under_its_own_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rounds with the same number would have the same noise."""
    asked, draw = [], PrivateAccess.whole_noise

    def watched(access: PrivateAccess, step: int, *arguments: Any, **settings: Any) -> np.ndarray:
        asked.append((access.mechanism.name, step))
        return draw(access, step, *arguments, **settings)

    monkeypatch.setattr(PrivateAccess, "whole_noise", watched)
    assert privimage(*run_words(tmp_path / "run", SIM_PE, "evolution.rounds=3")) == 0
    assert asked == [("private evolution", round) for round in range(3)]


def test_votes_that_were_given_are_never_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "run"
    killed_at(path, "*/evolve/population-001.npz", SIM_PE)
    votes = path / "stages" / "evolve" / "votes-000.npz"
    kept = votes.read_bytes()
    votes.unlink()
    before = (path / "ledger.jsonl").read_bytes()
    code, text = finish(run_words(path, SIM_PE), tmp_path / "output")
    assert code == 2 and "1 rounds of Private Evolution were answered" in text and "Its budget is spent" in text
    assert (path / "ledger.jsonl").read_bytes() == before  # nothing was begun that cannot be done
    votes.write_bytes(kept)
    code, text = finish(run_words(path, SIM_PE), tmp_path / "output")
    assert code == 0, text
    assert votes.read_bytes() == kept
    assert privimage(*run_words(path, SIM_PE, "evolution.rounds=3")) == 2  # more than was planned


def test_what_the_votes_of_another_run_say_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    killed_at(path, "*/evolve/outcome.npz", SIM_PE, after=False)
    other = tmp_path / "other"
    killed_at(other, "*/evolve/outcome.npz", SIM_PE, after=False)
    for name in ("votes-001.npz", "population-001.npz"):
        (path / "stages" / "evolve" / name).write_bytes((other / "stages" / "evolve" / name).read_bytes())
    code, text = finish(run_words(path, SIM_PE), tmp_path / "output")
    assert code == 2 and "ledger" in text


def test_a_ledger_without_the_votes_charge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    killed_at(path, "*/evolve/population-001.npz", SIM_PE)
    ledger = path / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text(lines[0])
    code, text = finish(run_words(path, SIM_PE), tmp_path / "output")
    assert code == 2 and "the ledger was shortened or replaced" in text and ledger.read_text() == lines[0]


@pytest.mark.parametrize("name", ["votes-001.npz", "population-001.npz", "votes-000.npz"])
def test_what_the_ledger_knows_otherwise_is_refused(tmp_path: Path, name: str) -> None:
    """Votes that were changed, or are missing although later votes exist, do not match the ledger."""
    path = tmp_path / "run"
    killed_at(path, "*/evolve/outcome.npz", SIM_PE, after=False)
    file = path / "stages" / "evolve" / name
    if name == "votes-000.npz":  # asked for again, were it not for the candidates that followed from it
        ledger = path / "ledger.jsonl"
        lines = ledger.read_text().splitlines(keepends=True)
        ledger.write_text("".join(line for line in lines if '"progress"' not in line))
        (file.parent / "votes-001.npz").unlink()
        file.unlink()
    else:
        with np.load(file) as data:
            changed = {key: data[key] + (key in ("votes_3", "images_3")) for key in data if data[key].dtype.kind != "U"}
            changed |= {key: data[key] for key in data if data[key].dtype.kind == "U"}
        np.savez_compressed(file, **changed)
    before = (path / "ledger.jsonl").read_bytes()
    code, text = finish(run_words(path, SIM_PE), tmp_path / "output")
    assert code == 2 and "Traceback" not in text and (path / "ledger.jsonl").read_bytes() == before
    said = {"votes-001.npz": "is not the one", "population-001.npz": "votes for other", "votes-000.npz": "ledger"}
    assert said[name] in text


def test_what_is_published_follows_from_the_votes_alone(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert privimage(*run_words(path, SIM_PE, report=True)) == 0
    assert sorted(file.name for file in path.glob("stages/evolve/*.png")) == ["round-000.png", "round-001.png"]
    page = (path / "internal" / "report.html").read_text()
    assert re.findall(r'alt="leading candidates: (.*?)"', page) == ["Round 1", "Round 2"]
    first = images(path)
    for name in ("release/synthetic.npz", "stages/evolve/outcome.npz"):
        (path / name).unlink()
    assert privimage(*run_words(path, SIM_PE, report=True)) == 0
    assert np.array_equal(images(path), first) and charges(path) == ["private evolution"]


def test_evolved_images_are_what_is_pretrained_on(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert privimage(*run_words(path, "method=privimage_evolved")) == 0
    kept = ImageSet.load(path / "stages" / "select" / "images")
    assert len(kept) == 60 and (np.bincount(kept.labels) == 6).all() and len(kept.class_names) == 10
    rows = [row["name"] for row in json.loads((path / "internal" / "scores.json").read_text())["scores"]]
    assert EVOLVED in rows and CONTROLS["selected"] not in rows  # they cost the votes
    assert charges(path) == ["semantic query", "private evolution", "dp-sgd"]
    assert statement(path)["epsilon"] <= 10


def test_a_simulator_then_a_model(tmp_path: Path) -> None:
    path = tmp_path / "run"
    words = ["stages=[classifier,query,select,pretrain,evolve,publish_evolved,evaluate,report]"]
    words += ["evolution.api={name: chain, then_from: 1, then: {name: model}}"]
    assert privimage(*run_words(path, SIM_PE, *words)) == 0
    assert charges(path) == ["semantic query", "private evolution"]
    with np.load(path / "stages" / "evolve" / "outcome.npz") as outcome:
        assert outcome["parameters"].shape == (60, 0)


@pytest.mark.parametrize(
    "words",
    [
        ["evolution.look_ahead=2", "evolution.neighbours=3", "evolution.resample=rank", "evolution.smooth=2"],
        ["evolution.api.name=pool"],
        ["evolution.api.name=faces", "evolution.vote_for=any"],
    ],
    ids=["look_ahead", "pool", "faces"],
)
def test_other_settings_make_a_whole_run_as_well(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "run"
    assert privimage(*run_words(path, SIM_PE, *words)) == 0
    assert charges(path) == ["private evolution"] and statement(path)["epsilon"] == pytest.approx(10)
    assert len(np.unique(images(path), axis=0)) > 20


def test_a_simulator_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = f"evolution.api={{name: imported, path: '{EXAMPLE}:Shapes'}}"
    assert privimage(*run_words(tmp_path / "run", SIM_PE, api)) == 0
    mine = tmp_path / "mine.py"
    mine.write_text(EXAMPLE.read_text().replace("side = self.image.resolution", "side = 5"))
    wrong = f"evolution.api={{name: imported, path: '{mine}:Shapes'}}"
    assert privimage(*run_words(tmp_path / "wrong", SIM_PE, wrong)) == 2
    said = capsys.readouterr().err
    assert "Shapes.random('0', 6) gave images uint8 [6, 1, 5, 5]; give uint8 [6, 1, 8, 8]" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evolution.features=[colour]"], r"evolution\.features: there is no 'colour'"),
        (["evolution.features=[inception]"], r"evolution\.features: inception is not available: no Inception weights"),
        (["evolution.smooth=6"], r"evolution\.smooth: got 6, but an image votes for 6 candidates in all"),
        (["evolution.api={name: pool, narrowest: 9, widest: 3}"], r"evolution\.api\.narrowest: got 9; allowed .* 3"),
        (["evolution.api={name: model, noise_smallest: 9}"], r"evolution\.api\.noise_smallest: got 9; .* 3"),
        (["method=sim_pe_voted", "evolution.share_at_random=0.9"], r"leaves 6 of synthesize\.count = 60 images"),
        (["evolution.features=[]"], r"evolution\.features: give at least one"),
        (["evolution.share_at_random=0.1"], r"evolution\.share_at_random: .* need a teacher"),
        (["method=sim_pe_voted", "evolution.vote_for=own"], r"evolution\.vote_for: publish_voted labels images"),
        (
            ["method=sim_pe_voted", "evolution.smooth=60"],
            r"evolution\.smooth: got 60, but an image votes for 60 candidates in all",
        ),
        (["evolution.neighbours=9"], r"evolution\.neighbours: got 9; allowed is at most .* 6"),
        (["evolution.degree_first=0.1"], r"evolution\.degree_last"),
        (["evolution.api={name: imported, path: 'nowhere.py:Mine'}"], r"evolution\.api\.path: there is no file"),
        (["evolution.api={name: chain, then_from: 2}", "evolution.rounds=2"], r"then_from: got 2, .*never be used"),
        (["evolution.api.fill_smallest=1.2"], r"evolution\.api\.fill_smallest"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_read(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_experiment(load("demo", [*TINY, SIM_PE, *words]))


def test_a_model_that_was_never_trained_is_not_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run"
    chain = "evolution.api={name: chain, then_from: 1}"
    for words in ([SIM_PE, "evolution.api.name=model"], [SIM_PE, chain], ["method=privimage_evolved", chain]):
        assert privimage(*run_words(path, *words)) == 2
        assert "needs the stage pretrain before evolve" in capsys.readouterr().err and not path.exists()
    words = [word for word in run_words(path, "method=pe") if not word.startswith("generator.")]
    assert privimage(*words, "generator.name=gan") == 2
    assert "needs a diffusion model" in capsys.readouterr().err and not path.exists()


def test_what_cannot_work_in_a_later_round_is_found_before_the_charge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the charge of the votes, and before that of a query that comes first."""
    mine = tmp_path / "mine.py"
    mine.write_text(EXAMPLE.read_text() + "\n\nShapes.vary = lambda self, samples, degree, rng: 3\n")
    for method in ("sim_pe", "privimage_evolved"):
        path = tmp_path / method
        api = f"evolution.api={{name: imported, path: '{mine}:Shapes'}}"
        assert privimage(*run_words(path, f"method={method}", api)) == 2
        assert "vary(2 samples, 1) gave int; give Samples" in capsys.readouterr().err and charges(path) == []


def test_settings_for_one_api_alone(tmp_path: Path) -> None:
    preset = tmp_path / "own.yaml"
    preset.write_text(
        "sensitive: {name: digits}\nimage: {resolution: 8, channels: 1}\nevolution: {rounds: 3}\nfor_api:\n"
        "  glyphs: {evolution: {api: {bend: 0.1}, population: 70}}\n  model: {evolution: {population: 20}}\n"
    )
    found = {method: load(str(preset), [f"method={method}"]).evolution for method in ("sim_pe", "pe")}
    assert found["sim_pe"].population == 70 and found["sim_pe"].api.bend == 0.1
    assert found["pe"].population == 20 and found["pe"].api.name == "model"
    assert json.dumps(found["pe"].rounds) == "3"


def test_rounds_are_timed_on_the_console_for_public_sets_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a round takes depends on the sensitive images."""
    shown = []

    def watched(items: Any, what: str, **settings: Any) -> Any:
        shown.append((what, settings["show"]))
        return items

    monkeypatch.setattr("launch.stages.evolution.evolve.track", watched)
    monkeypatch.setattr(Console, "progress", property(lambda self: True))
    draw_shapes(tmp_path / "data" / "train", 0, 30)
    draw_shapes(tmp_path / "data" / "test", 1, 4)
    assert privimage(*folder_words(tmp_path / "own", SIM_PE)) == 0
    assert privimage(*run_words(tmp_path / "digits", SIM_PE)) == 0
    assert [show for what, show in shown if what == "evolve"] == [False, True]
