"""Answers of Private Evolution that another run takes over, with their charge."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from accounting.ledger import Ledger
from accounting.run_key import RunKey
from configs.loading import load
from launch.run.release import read_images
from tests.launch.runs import (
    FIXED,
    TINY,
    charges,
    draw_shapes,
    finish,
    folder_words,
    killed_at,
    privimage,
    run_words,
    statement,
)
from tests.launch.setups import check_experiment

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SIM_PE = "method=sim_pe"


def images(path: Path) -> np.ndarray:
    return read_images(path / "release" / "synthetic.npz").images


def test_an_answer_that_was_changed_or_is_of_more_images_is_not_taken_over(
    tmp_path: Path, sim_pe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, path = tmp_path / "source", tmp_path / "run"
    shutil.copytree(sim_pe, source)
    outcome = source / "stages" / "evolve" / "outcome.npz"
    with np.load(outcome) as data:
        np.savez_compressed(outcome, **{**data, "votes": np.rint(np.abs(data["votes"]))})  # as if without noise
    assert privimage(*run_words(path, SIM_PE, f"evolution.reuse={source}")) == 2
    assert "is not the answer that its run's ledger was charged for: the file was changed" in capsys.readouterr().err
    assert charges(path) == []
    data = tmp_path / "data"
    for part in ("train", "test"):
        draw_shapes(data / part, 0, 20)
    assert privimage(*folder_words(tmp_path / "few", SIM_PE)) == 0
    shutil.rmtree(data / "train")
    draw_shapes(data / "train", 1, 30)
    assert privimage(*folder_words(tmp_path / "more", SIM_PE, f"evolution.reuse={tmp_path / 'few'}")) == 2
    assert "sensitive records, this one has" in capsys.readouterr().err and not (tmp_path / "more").exists()


def test_an_answer_under_a_fixed_key_is_not_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, path = tmp_path / "source", tmp_path / "run"
    assert privimage(*run_words(source, SIM_PE, FIXED)) == 0
    assert privimage(*run_words(path, SIM_PE, f"evolution.reuse={source}")) == 2
    assert "has a fixed key, so its answer is not private" in capsys.readouterr().err and not path.exists()
    assert privimage(*run_words(path, SIM_PE, f"evolution.reuse={source}", FIXED)) == 0
    assert "NOT PRIVATE" in statement(path)["notice"]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("query", ["method=privimage_d", "stages=[classifier,query]"]),
        ("evolution", [SIM_PE, "stages=[classifier,evolve]"]),
    ],
)
def test_an_answer_of_a_run_that_still_has_its_key_is_not_taken_over(
    section: str,
    words: list[str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its noise can still be computed and subtracted."""
    source, path = tmp_path / "source", tmp_path / "run"
    shutil.copytree(request.getfixturevalue("evolved" if section == "query" else "sim_pe"), source)
    key, command = source / "internal" / "key", run_words(path, *words, f"{section}.reuse={source}")
    RunKey.create_or_load(key)
    assert privimage(*command) == 2
    assert f"{section}.reuse: the run '{source}' still has its key" in capsys.readouterr().err and not path.exists()
    RunKey.destroy(key)
    assert privimage(*command) == 0


def test_a_run_goes_on_where_the_run_whose_answer_it_took_over_is_gone(tmp_path: Path, evolved: Path) -> None:
    source, second = tmp_path / "source", tmp_path / "second"
    shutil.copytree(evolved, source)
    reuse = [f"query.reuse={source}", f"evolution.reuse={source}"]
    words = run_words(second, "method=privimage_evolved", *reuse, "privacy.epsilon=12", report=True)
    assert privimage(*words) == 0
    spent = statement(second)["epsilon"]
    shutil.rmtree(source)
    (second / "internal" / "report.html").unlink()
    assert privimage(*words) == 0
    assert (second / "internal" / "report.html").exists() and statement(second)["epsilon"] == spent


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
    """Files of other runs, including exact histograms, instead of a private answer."""
    source, exact, other = tmp_path / "source", tmp_path / "exact", tmp_path / "other"
    words = ["privacy.epsilon=12", "stages=[classifier,query,evolve,publish_evolved]"]
    assert privimage(*run_words(exact, "method=nonpriv_d", "stages=[classifier,query_without_noise]")) == 0
    assert privimage(*run_words(other, "method=privimage_evolved", *words)) == 0
    shutil.copytree(evolved, source)
    for name, from_run, message in (
        ("stages/query/histogram.json", exact, "NOT PRIVATE"),
        ("stages/query/histogram.json", other, "is not the answer that its run's ledger was charged for"),
        ("stages/evolve/outcome.npz", other, "is not the answer that its run's ledger was charged for"),
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
    """A run copied between its charge and its answer has two answers: a third run cannot use both for one charge."""
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


@pytest.mark.parametrize("words", [[SIM_PE], ["method=privimage_evolved", "privacy.epsilon=14"]])
def test_candidates_that_are_gone_cost_nothing(
    words: list[str], tmp_path: Path, sim_pe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no charge for them, nor for a query that would be answered before they are taken over."""
    source, path = tmp_path / "source", tmp_path / "run"
    shutil.copytree(sim_pe, source)
    (source / "stages" / "evolve" / "outcome.npz").unlink()
    assert privimage(*run_words(path, *words, f"evolution.reuse={source}")) == 2
    assert "it is missing or damaged" in capsys.readouterr().err and charges(path) == []
    assert not [entry for entry in Ledger.read(path / "ledger.jsonl").entries if entry["kind"] == "inherit"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["evolution.reuse=nowhere"],
            "evolution.reuse: 'nowhere' is neither a run that has finished its stage 'evolve' nor",
        ),
        (["evolution.reuse={first}", "image.resolution=12"], "does not fit this run, which differs in: image"),
        (["evolution.reuse={first}", "evolution.api.bend=0.2"], "differs in: evolution.api"),
        (["evolution.reuse={first}", "evolution.vote_for=any"], "differs in: evolution.vote_for"),
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
    assert "differs in: query.per_category" in capsys.readouterr().err


def test_an_answer_is_not_taken_over_before_what_it_follows_from(
    tmp_path: Path, evolved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise a release made in between would state less than its cost."""
    words = ["method=privimage_evolved", "privacy.epsilon=12", f"query.reuse={evolved}", f"evolution.reuse={evolved}"]
    later = {
        "classifier,evolve,publish_evolved,query": "'query' spends budget after 'publish_evolved' has stated",
        "classifier,evolve,query,publish_evolved": "Take that over as well: query.reuse, with the stage query before",
    }
    for stages, message in later.items():
        assert privimage(*run_words(tmp_path / "run", *words, f"stages=[{stages}]")) == 2
        assert message in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_an_answer_that_no_stage_takes_over_is_warned_of(
    tmp_path: Path, sim_pe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["method=privimage_d", "stages=[classifier,query]", f"evolution.reuse={sim_pe}"]
    with pytest.warns(UserWarning, match=r"evolution\.reuse: privimage_d has no stage 'evolve'"):
        check_experiment(load("demo", [*TINY, *words]))


def test_an_average_over_all_candidates_of_the_other_run_is_refused(
    tmp_path: Path, sim_pe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [SIM_PE, f"evolution.reuse={sim_pe}", "evolution.smooth=7", "evolution.population=90"]
    assert privimage(*run_words(tmp_path / "run", *words)) == 2
    assert "an image votes for 6 candidates in all" in capsys.readouterr().err and charges(tmp_path / "run") == []


def test_candidates_that_were_changed_are_not_released(
    tmp_path: Path, sim_pe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / sim_pe.name
    shutil.copytree(sim_pe, path)
    shutil.rmtree(path / "release")
    outcome = path / "stages" / "evolve" / "outcome.npz"
    with np.load(outcome) as data:
        np.savez_compressed(outcome, **{**data, "images": 255 - data["images"]})
    assert privimage(*run_words(path, SIM_PE)) == 2
    assert "is not the one that was released: its file was changed" in capsys.readouterr().err
    assert not (path / "release" / "synthetic.npz").exists()


def test_of_copies_of_a_run_the_one_that_still_has_its_answer_is_taken(tmp_path: Path, sim_pe: Path) -> None:
    for copy in ("a", "b"):
        shutil.copytree(sim_pe, tmp_path / copy)
    (tmp_path / "a" / "stages" / "evolve" / "outcome.npz").unlink()
    found = Ledger.read(sim_pe / "ledger.jsonl").release_ids()[0]
    assert privimage(*run_words(tmp_path / "run", SIM_PE, f"evolution.reuse={found}")) == 0
    assert statement(tmp_path / "run")["release_ids"] == [found]


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose candidates depend on its query."""
    path = tmp_path_factory.mktemp("evolved") / "run"
    assert privimage(*run_words(path, "method=privimage_evolved")) == 0
    return path


@pytest.fixture(scope="module")
def sim_pe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of Sim-PE."""
    path = tmp_path_factory.mktemp("evolved") / "run"
    assert privimage(*run_words(path, SIM_PE)) == 0
    return path
