"""The budget of a configuration, fixed before anything is read."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from accounting.composition import prv_epsilon, rdp_epsilon
from configs.errors import UserError
from configs.loading import load
from tests.launch.setups import plan

pytestmark = pytest.mark.slow

MILD = [
    "privacy.epsilon=10",
    "privacy.delta=5e-5",  # small enough for no warning
    "query.semantics=2",
    "query.noise_multiplier=5",
    "finetune.steps=40",
    "finetune.batch_size=400",
    "finetune.clip_norm=1",
]


def test_the_demo_spends_all_but_a_trifle() -> None:
    budget = plan(load("demo", MILD))
    query, training = budget.mechanisms
    assert (query.name, query.noise_multiplier, query.sensitivity) == ("semantic query", 5.0, math.sqrt(2))
    assert training.sampling_rate == 400 / 1437 and training.steps == 40 and training.sensitivity == 1.0
    assert 9.9 < rdp_epsilon(budget.mechanisms, 5e-5) <= 10.0
    less = [query, type(training)(**{**vars(training), "noise_multiplier": training.noise_multiplier - 2e-4})]
    assert rdp_epsilon(less, 5e-5) > 10.0


@pytest.mark.parametrize("k", [1, 3, 5])
def test_a_record_votes_for_k_bins(k: int) -> None:
    assert plan(load("demo", [*MILD, f"query.semantics={k}"])).mechanisms[0].sensitivity == math.sqrt(k)


def test_the_finer_accountant_needs_less_noise() -> None:
    by_rdp, by_prv = (plan(load("demo", [*MILD, f"privacy.accountant={name}"])) for name in ("rdp", "prv"))
    assert by_prv.mechanisms[1].noise_multiplier < by_rdp.mechanisms[1].noise_multiplier
    assert 9.9 < prv_epsilon(by_prv.mechanisms, 5e-5) <= 10.0


def test_without_a_query_the_whole_budget_is_for_training() -> None:
    budget = plan(load("demo", [*MILD, "stages=[classifier,finetune]"]))
    assert [mechanism.name for mechanism in budget.mechanisms] == ["dp-sgd"]
    assert budget.training_steps == load("demo", MILD).finetune.steps
    assert plan(load("demo", [*MILD, "stages=[classifier,query]"])).training_steps == 0


@pytest.mark.filterwarnings("ignore:privacy.delta")
def test_delta_defaults_to_a_function_of_n() -> None:
    assert plan(load("demo", [*MILD, "privacy.delta=null"])).delta == pytest.approx(1 / (1437 * math.log(1437)))


def test_a_weak_delta_is_warned_about() -> None:
    with pytest.warns(UserWarning, match=r"above 1/\(10 n\).*a weak guarantee"):
        plan(load("demo", [*MILD, "privacy.delta=1e-4"]))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["privacy.delta=0.001"], r"privacy\.delta=0\.001 is not below 1/n"),
        (["query.noise_multiplier=0.1"], r"semantic query .* alone costs epsilon .* leaves nothing of the target 10"),
        (["privacy.epsilon=1e-3"], "semantic query .* alone costs"),
        (["finetune.batch_size=1438"], r"finetune\.batch_size: got 1438; allowed is at most n = 1437"),
    ],
)
def test_an_impossible_budget_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(load("demo", [*MILD, *overrides]))


def folder(root: Path, files: int) -> list[str]:
    """A folder of files that are not images: opening one fails."""
    for number in range(files):
        path = root / ("a" if number % 2 else "b") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no image")
    return [*MILD, "sensitive.name=folder", f"sensitive.root={root}", f"sensitive.test_root={root}"]


def test_no_image_is_opened(tmp_path: Path) -> None:
    assert plan(load("demo", [*folder(tmp_path, 2000), "finetune.batch_size=20"])).n == 2000


def test_an_impossible_budget_is_refused_before_an_image_is_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="alone costs"):
        plan(load("demo", [*folder(tmp_path, 50), "finetune.batch_size=20", "query.noise_multiplier=0.1"]))


def test_too_few_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sensitive: 2 records are too few"):
        plan(load("demo", [*folder(tmp_path, 2), "privacy.delta=null"]))


def test_a_faulty_source_is_named_with_its_section(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^sensitive\.root: no folder at"):
        plan(load("demo", ["sensitive.name=folder", f"sensitive.root={tmp_path / 'nowhere'}"]))
