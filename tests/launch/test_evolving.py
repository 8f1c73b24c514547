"""Private Evolution as a stage of a run: what it may spend, what it does not repeat, what it hands on."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from accounting.calibration import BudgetError
from accounting.gaussian import gaussian_epsilon, gaussian_mu
from accounting.ledger import Ledger
from configs.errors import UserError
from datamodules.image_set import ImageSet
from launch.checks import check_experiment
from launch.config import load
from launch.console import Console
from launch.context import load_weights
from launch.planning import plan
from launch.release import read_images
from lightning_modules.registries import GENERATORS
from tests.launch.runs import (
    FIXED,
    TINY,
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

pytestmark = pytest.mark.filterwarnings("ignore")
SIM_PE = "method=sim_pe"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "shapes.py"


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
    ("*/evolve/votes-001.npz", 1, True),
    ("*/evolve/outcome.npz", 1, False),
    ("*/evolve/done.json", 1, True),
    ("*/release/synthetic.npz", 1, False),
]


def test_killed_anywhere_it_ends_with_the_same_images_and_one_charge(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert privimage(*run_words(whole, SIM_PE, FIXED)) == 0
    killed_everywhere(broken, POINTS[3::2], SIM_PE, FIXED)
    assert np.array_equal(images(whole), images(broken))
    assert charges(broken) == ["private evolution"]
    assert statement(broken)["epsilon"] == statement(whole)["epsilon"] == pytest.approx(10)


def test_killed_anywhere_no_round_is_answered_twice(tmp_path: Path) -> None:
    """With a secret key an answer given twice would have other noise the second time."""
    path, given = tmp_path / "run", dict[str, bytes]()
    for pattern, count, after in POINTS:
        killed_at(path, pattern, SIM_PE, count=count, after=after)
        answers = {file.name: file.read_bytes() for file in path.glob("stages/evolve/votes-*.npz")}
        assert given.items() <= answers.items(), pattern
        given = answers
    assert len(given) == 2
    code, text = finish(run_words(path, SIM_PE), tmp_path / "output")
    assert code == 0, text
    assert {file.name: file.read_bytes() for file in path.glob("stages/evolve/votes-*.npz")} == given
    assert len(generations(path, "private evolution")) > 1 and charges(path) == ["private evolution"]


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
    """Votes that were changed, or are gone while their successors are there, keep no charge of their own."""
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
    assert {"votes-001.npz": "is not the one", "population": "votes for other"}.get(name, "") in text


def test_an_answer_that_was_changed_or_is_of_more_images_is_not_taken_over(
    tmp_path: Path, sim_pe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, path = tmp_path / "source", tmp_path / "run"
    shutil.copytree(sim_pe, source)
    outcome = source / "stages" / "evolve" / "outcome.npz"
    with np.load(outcome) as data:
        np.savez_compressed(outcome, **{**data, "votes": np.rint(np.abs(data["votes"]))})  # as if without noise
    assert privimage(*run_words(path, SIM_PE, f"evolution.reuse={source}")) == 2
    assert "is not what its run's ledger paid for: the file was changed" in capsys.readouterr().err
    assert charges(path) == []
    data = tmp_path / "data"
    for part in ("train", "test"):
        draw_shapes(data / part, 0, 20)
    assert privimage(*folder_words(tmp_path / "few", SIM_PE)) == 0
    shutil.rmtree(data / "train")
    draw_shapes(data / "train", 1, 30)
    assert privimage(*folder_words(tmp_path / "more", SIM_PE, f"evolution.reuse={tmp_path / 'few'}")) == 2
    assert "sensitive records, this one has" in capsys.readouterr().err and not (tmp_path / "more").exists()


def test_what_is_published_follows_from_the_votes_alone(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert privimage(*run_words(path, SIM_PE)) == 0
    assert sorted(file.name for file in path.glob("stages/evolve/*.png")) == ["round-000.png", "round-001.png"]
    page = (path / "internal" / "report.html").read_text()
    assert re.findall(r'alt="leading candidates: (.*?)"', page) == ["Round 1", "Round 2"]
    first = images(path)
    for name in ("release/synthetic.npz", "stages/evolve/outcome.npz"):
        (path / name).unlink()
    assert privimage(*run_words(path, SIM_PE)) == 0
    assert np.array_equal(images(path), first) and charges(path) == ["private evolution"]


def test_evolved_images_are_what_is_pretrained_on(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert privimage(*run_words(path, "method=privimage_evolved")) == 0
    kept = ImageSet.load(path / "stages" / "select" / "images")
    assert len(kept) == 60 and (np.bincount(kept.labels) == 6).all() and len(kept.class_names) == 10
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
        (["evolution.features=[inception]"], r"evolution\.features: inception cannot be had: no Inception weights"),
        (["evolution.features=[]"], r"evolution\.features: give at least one"),
        (["evolution.share_at_random=0.1"], r"evolution\.share_at_random: .* need a teacher"),
        (["method=sim_pe_voted", "evolution.vote_for=own"], r"evolution\.vote_for: publish_voted labels images"),
        (["method=sim_pe_voted", "evolution.smooth=60"], r"evolution\.smooth: got 60, but there are 60 candidates"),
        (["evolution.neighbours=9"], r"evolution\.neighbours: got 9; allowed is at most .* 6"),
        (["evolution.degree_first=0.1"], r"evolution\.degree_last"),
        (["evolution.api={name: imported, path: 'nowhere.py:Mine'}"], r"evolution\.api\.path: there is no file"),
        (["evolution.api={name: chain, then_from: 2}", "evolution.rounds=2"], r"then_from: got 2, .*never be asked"),
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
    """Before that of the votes, and before that of a query that comes first."""
    mine = tmp_path / "mine.py"
    mine.write_text(EXAMPLE.read_text() + "\n    def vary(self, samples, degree, rng):\n        return 3\n")
    for method in ("sim_pe", "privimage_evolved"):
        path = tmp_path / method
        api = f"evolution.api={{name: imported, path: '{mine}:Shapes'}}"
        assert privimage(*run_words(path, f"method={method}", api)) == 2
        assert "vary(2 samples, 1) gave int; give Samples" in capsys.readouterr().err and charges(path) == []


def test_a_run_goes_on_where_the_run_whose_answer_it_took_over_is_gone(tmp_path: Path, evolved: Path) -> None:
    source, second = tmp_path / "source", tmp_path / "second"
    shutil.copytree(evolved, source)
    words = run_words(
        second, "method=privimage_evolved", f"query.reuse={source}", f"evolution.reuse={source}", "privacy.epsilon=12"
    )
    assert privimage(*words) == 0
    spent = statement(second)["epsilon"]
    shutil.rmtree(source)
    (second / "internal" / "report.html").unlink()
    assert privimage(*words) == 0
    assert (second / "internal" / "report.html").exists() and statement(second)["epsilon"] == spent


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


def test_an_answer_is_taken_over_with_its_charge_and_asked_for_no_more(tmp_path: Path, evolved: Path) -> None:
    second = tmp_path / "second"
    reuse = [f"query.reuse={evolved}", f"evolution.reuse={evolved}", "finetune.steps=3", "privacy.epsilon=12"]
    assert privimage(*run_words(second, "method=privimage_evolved", *reuse)) == 0
    ledger, source = Ledger.read(second / "ledger.jsonl"), Ledger.read(evolved / "ledger.jsonl")
    inherited = [entry for entry in ledger.entries if entry["kind"] == "inherit"]
    paid = [entry for entry in source.entries if entry["kind"] == "reserve"][:2]
    begun = [entry for entry in source.entries if entry["kind"] == "start"][:2]
    assert [entry["source"] for entry in inherited] == [entry["hash"] for entry in begun]
    assert [entry["mechanism"] for entry in inherited] == [entry["mechanism"] for entry in paid]
    assert [m.name for m in ledger.mechanisms()] == ["semantic query", "private evolution", "dp-sgd"]
    assert statement(second)["epsilon"] == pytest.approx(ledger.epsilon()) and 11.9 < ledger.epsilon() <= 12
    for name in ("stages/query/histogram.json", "stages/evolve/outcome.npz"):
        assert (second / name).is_file()
    outcomes = [np.load(path / "stages" / "evolve" / "outcome.npz") for path in (evolved, second)]
    for name in ("images", "parameters", "sizes", "shares", "votes"):
        assert np.array_equal(outcomes[0][name], outcomes[1][name])
    assert ledger.contains(str(outcomes[1]["ledger_head"])) and source.contains(str(outcomes[0]["ledger_head"]))
    third = [f"query.reuse={second}", "privacy.epsilon=12"]  # it passes on what it paid for, not what it was given
    assert privimage(*run_words(tmp_path / "third", "method=query_only", *third)) == 2


def test_what_follows_from_votes_is_for_each_run_to_say(tmp_path: Path, sim_pe: Path) -> None:
    path = tmp_path / "run"
    name = statement(sim_pe)["release_ids"][0]
    shutil.copytree(sim_pe, tmp_path / "first")
    words = [SIM_PE, f"evolution.reuse={name[:12]}", "evolution.smooth=3", "evolution.threshold=2"]
    assert privimage(*run_words(path, *words)) == 0
    first, second = (np.load(run / "stages" / "evolve" / "outcome.npz") for run in (sim_pe, path))
    assert np.array_equal(first["votes"], second["votes"]) and np.array_equal(first["images"], second["images"])
    assert not np.array_equal(first["shares"], second["shares"]) and not np.array_equal(images(sim_pe), images(path))
    assert statement(path)["epsilon"] == statement(sim_pe)["epsilon"]
    assert statement(path)["release_ids"] == statement(sim_pe)["release_ids"]  # one answer, however often it is shown
    name = statement(path)["release_ids"][0][:16]
    assert all(name in (run / "release" / "PRIVACY.md").read_text() for run in (sim_pe, path))


def test_a_run_that_was_cut_off_before_its_ledgers_first_line_goes_on(tmp_path: Path, sim_pe: Path) -> None:
    path, whole = tmp_path / "run", tmp_path / "whole"
    killed_at(path, "*/ledger.jsonl", SIM_PE, f"evolution.reuse={sim_pe}", after=False)
    assert (path / "config.yaml").is_file()
    (path / "ledger.jsonl").touch()
    for run in (whole, path):
        code, text = finish(run_words(run, SIM_PE, f"evolution.reuse={sim_pe}"), tmp_path / "output")
        assert code == 0, text
    assert np.array_equal(images(whole), images(path)) and charges(path) == charges(whole)


def test_an_answer_that_its_ledger_did_not_pay_for_is_not_taken_over(
    tmp_path: Path, evolved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files of other runs, exact histograms among them, in the place of a private answer."""
    source, exact, other = tmp_path / "source", tmp_path / "exact", tmp_path / "other"
    words = ["privacy.epsilon=12", "stages=[classifier,query,evolve,publish_evolved]"]
    assert privimage(*run_words(exact, "method=nonpriv_d", "stages=[classifier,query_without_noise]")) == 0
    assert privimage(*run_words(other, "method=privimage_evolved", *words)) == 0
    shutil.copytree(evolved, source)
    for name, from_run, message in (
        ("stages/query/histogram.json", exact, "NOT PRIVATE"),
        ("stages/query/histogram.json", other, "is not what its run's ledger paid for"),
        ("stages/evolve/outcome.npz", other, "is not what its run's ledger paid for"),
    ):
        kept = (source / name).read_bytes()
        shutil.copy(from_run / name, source / name)
        path = tmp_path / "run"
        reuse = [f"query.reuse={source}", f"evolution.reuse={source}"]
        assert privimage(*run_words(path, "method=privimage_evolved", *reuse, *words)) == 2
        assert message in capsys.readouterr().err
        assert "private evolution" not in charges(path)
        shutil.rmtree(path)
        (source / name).write_bytes(kept)


def test_two_answers_to_one_charge_are_two_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that was copied between its charge and its answer has two: no third run has both for one."""
    one, two = tmp_path / "a" / "run", tmp_path / "b" / "run"
    stages = "stages=[classifier,query,evolve,publish_evolved]"
    one.parent.mkdir()
    killed_at(one, "*/query/histogram.json", "method=privimage_evolved", stages, after=False)
    shutil.copytree(one, two)
    for path in (one, two):
        assert privimage(*run_words(path, "method=privimage_evolved", stages)) == 0
    reserved = [Ledger.read(path / "ledger.jsonl").entries[1] for path in (one, two)]
    assert reserved[0]["kind"] == "reserve" and reserved[0]["hash"] == reserved[1]["hash"]
    for query, refused in ((two, True), (one, False)):
        reuse = [f"query.reuse={query}", f"evolution.reuse={one}", "privacy.epsilon=12"]
        run = tmp_path / f"third-{query.parent.name}"
        assert privimage(*run_words(run, "method=privimage_evolved", stages, *reuse)) == (2 if refused else 0)
        assert ("follows from another private answer" in capsys.readouterr().err) == refused


@pytest.mark.parametrize("method", ["sim_pe", "privimage_evolved"])
def test_candidates_that_follow_from_a_query_are_not_taken_over_without_its_charge(
    method: str, tmp_path: Path, evolved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert privimage(*run_words(tmp_path / "run", f"method={method}", f"evolution.reuse={evolved}")) == 2
    assert "evolution.reuse: the answer in" in (said := capsys.readouterr().err)
    assert "follows from another private answer of that run" in said and not (tmp_path / "run").exists()
    unused = f"query.reuse={evolved}"  # pays for nothing where no stage takes it over
    if method == "sim_pe":
        assert privimage(*run_words(tmp_path / "run", SIM_PE, f"evolution.reuse={evolved}", unused)) == 2


def test_labels_by_votes_follow_from_the_votes_alone(tmp_path: Path) -> None:
    """Once the votes are there, neither the sensitive images nor the key has a part in what is released."""
    settings = ["method=sim_pe_voted", "evolution.share_at_random=0.4", "evolution.smooth=5"]
    path, again = tmp_path / "run", tmp_path / "again"
    assert privimage(*run_words(path, *settings)) == 0
    assert charges(path) == ["private evolution"]
    line = json.loads((path / "stages" / "synthesize" / "done.json").read_text())["line"]
    assert line.startswith("60 of 180 images in ")
    first = read_images(path / "release" / "synthetic.npz")
    assert len(first) == 60
    with np.load(path / "stages" / "evolve" / "outcome.npz") as data:
        assert data["votes"].shape == (10, 60)  # of each category, for every candidate
    assert privimage(*run_words(again, *settings, f"evolution.reuse={path}")) == 0
    second = read_images(again / "release" / "synthetic.npz")
    assert np.array_equal(first.images, second.images) and np.array_equal(first.labels, second.labels)
    assert statement(again)["epsilon"] == pytest.approx(statement(path)["epsilon"])


def test_votes_label_what_a_model_makes_and_one_category_has_nothing_to_tell_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = "stages=[classifier,select_all,pretrain,evolve,publish_voted]"
    words = ["method=sim_pe_voted", stages, "generator.name=diffusion", "evolution.api.name=model"]
    path = tmp_path / "model"
    assert privimage(*run_words(path, *words, "evolution.share_at_random=0", "evolution.smooth=5")) == 0
    assert len(read_images(path / "release" / "synthetic.npz")) == 60
    draw_shapes(tmp_path / "shapes", 0, 20)
    shutil.rmtree(tmp_path / "shapes" / "bars")
    one = ["sensitive.name=folder", f"sensitive.root={tmp_path / 'shapes'}", "method=sim_pe_voted"]
    assert privimage(*run_words(tmp_path / "one", *one)) == 2
    assert "votes have nothing to tell apart" in capsys.readouterr().err


def test_a_teachers_labels_are_what_it_says_after_its_private_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    words = [word for word in run_words(path, "method=sim_pe_taught") if not word.startswith("generator.")]
    settings = ["evolution.degree_rendered=1.0", "evolution.budget_share=0.3", "evolution.share_at_random=0.4"]
    assert privimage(*words, *settings) == 0
    said = capsys.readouterr()
    assert "60 images in" in said.err and "24 of them of any category" in said.err
    assert charges(path) == ["private evolution", "dp-sgd"]
    released, ledger = read_images(path / "release" / "synthetic.npz"), Ledger.read(path / "ledger.jsonl")
    assert statement(path)["epsilon"] == pytest.approx(ledger.epsilon()) and 9.9 < ledger.epsilon() <= 10
    config = load(str(path / "config.yaml"))
    teacher = GENERATORS.build(config.generator, image=config.image, classes=10)
    load_weights(teacher.released, path / "stages" / "finetune" / "model.safetensors")
    assert np.array_equal(teacher.probabilities(torch.from_numpy(released.images)).argmax(1).numpy(), released.labels)


def test_candidates_that_are_gone_cost_nothing(
    tmp_path: Path, sim_pe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, path = tmp_path / "source", tmp_path / "run"
    shutil.copytree(sim_pe, source)
    (source / "stages" / "evolve" / "outcome.npz").unlink()
    assert privimage(*run_words(path, SIM_PE, f"evolution.reuse={source}")) == 2
    assert "it is missing or damaged" in capsys.readouterr().err and charges(path) == []
    assert not [entry for entry in Ledger.read(path / "ledger.jsonl").entries if entry["kind"] == "inherit"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evolution.reuse=nowhere"], "evolution.reuse: 'nowhere' is no run that has finished its stage 'evolve'"),
        (["evolution.reuse={first}", "image.resolution=12"], "has another image: its answer is of something else"),
        (["evolution.reuse={first}", "evolution.api.bend=0.2"], "has another evolution.api: its answer"),
        (["evolution.reuse={first}", "evolution.vote_for=any"], "has another evolution.vote_for: its answer"),
        (["query.reuse={first}", "stages=[classifier,query,evolve,publish_evolved]"], "finished its stage 'query'"),
        (["evolution.reuse={first}", "privacy.epsilon=5"], "privacy.epsilon: private evolution .* costs epsilon 10"),
    ],
)
def test_what_cannot_be_taken_over(
    words: list[str], message: str, tmp_path: Path, sim_pe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [word.format(first=sim_pe) for word in words]
    assert privimage(*run_words(tmp_path / "run", SIM_PE, *said)) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_an_answer_for_all_categories_is_none_for_each(
    tmp_path: Path, evolved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "method=query_only",
        f"query.reuse={evolved}",
        "query.per_category=false",
        "stages=[classifier,query,select]",
    ]
    assert privimage(*run_words(tmp_path / "run", *words)) == 2
    assert "has another query.per_category" in capsys.readouterr().err


def test_rounds_are_timed_on_the_console_for_public_sets_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a round takes hangs on the sensitive images."""
    shown = []

    def watched(items: Any, what: str, **settings: Any) -> Any:
        shown.append((what, settings["show"]))
        return items

    monkeypatch.setattr("launch.stages.evolve.track", watched)
    monkeypatch.setattr(Console, "progress", property(lambda self: True))
    draw_shapes(tmp_path / "data" / "train", 0, 30)
    draw_shapes(tmp_path / "data" / "test", 1, 4)
    assert privimage(*folder_words(tmp_path / "own", SIM_PE)) == 0
    assert privimage(*run_words(tmp_path / "digits", SIM_PE)) == 0
    assert [show for what, show in shown if what == "evolve"] == [False, True]


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose candidates follow from its query."""
    path = tmp_path_factory.mktemp("evolved") / "run"
    assert privimage(*run_words(path, "method=privimage_evolved")) == 0
    return path


@pytest.fixture(scope="module")
def sim_pe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of Sim-PE."""
    path = tmp_path_factory.mktemp("evolved") / "run"
    assert privimage(*run_words(path, SIM_PE)) == 0
    return path
