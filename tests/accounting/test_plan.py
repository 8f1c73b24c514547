import json
import math

import pytest

from accounting.calibration import BudgetError
from accounting.mechanisms import GaussianQuery, mechanism_from_dict
from accounting.plan import BudgetPlan, check_budget, default_delta, plan_budget
from configs.errors import UserError

DEMO = {"n": 1437, "epsilon": 10.0, "delta": 1e-4, "accountant": "rdp", "steps": 40, "expected_batch": 400}
QUERY = GaussianQuery(name="semantic query", noise_multiplier=10, sensitivity=math.sqrt(5))


def test_default_delta() -> None:
    assert default_delta(50_000) == pytest.approx(1 / (50_000 * math.log(50_000)))
    assert check_budget(10, default_delta(50_000), 50_000) == []
    with pytest.raises(UserError, match="too few"):
        default_delta(2)


def test_a_weak_delta_warns_and_a_hopeless_one_is_refused() -> None:
    assert check_budget(1, 1e-6, 1000) == []
    assert "weak" in check_budget(1, 5e-4, 1000)[0]
    for delta in (1e-3, 0.5):
        with pytest.raises(UserError, match=r"privacy\.delta"):
            check_budget(1, delta, 1000)


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf])
def test_impossible_numbers_are_refused(bad: float) -> None:
    with pytest.raises(UserError, match=r"privacy\.epsilon"):
        check_budget(bad, 1e-5, 100)
    if bad != math.inf:
        with pytest.raises(UserError, match=r"privacy\.delta"):
            check_budget(1, bad, 100)


@pytest.mark.slow
@pytest.mark.parametrize("accountant", ["rdp", "prv"])
def test_the_demo_uses_its_budget_up(accountant: str) -> None:
    plan = plan_budget(**{**DEMO, "accountant": accountant}, query=QUERY, clip_norm=0.5)
    assert 9.9 <= plan.composed() <= 10.0
    assert plan.remaining == pytest.approx(10 - plan.composed())
    training = plan.mechanism("dp-sgd")
    assert (training.sampling_rate, training.steps, training.sensitivity) == (400 / 1437, 40, 0.5)
    assert plan.composed("prv") < plan.composed("rdp")


@pytest.mark.slow
def test_rows_state_each_mechanism_and_its_share() -> None:
    plan = plan_budget(**DEMO, query=QUERY, clip_norm=1.0)
    query, training = plan.rows()
    assert query["name"] == "semantic query" and query["noise_multiplier"] == 10
    assert query["epsilon_alone"] < training["epsilon_alone"] <= 10
    assert query["share"] + training["share"] == pytest.approx(1)
    json.dumps(plan.rows())


@pytest.mark.slow
def test_json_carries_a_plan_without_loss() -> None:
    plan = plan_budget(**DEMO, query=None, clip_norm=1.0)
    assert [m.name for m in plan.mechanisms] == ["dp-sgd"]
    kept = json.loads(json.dumps(plan.to_dict()))
    mechanisms = tuple(map(mechanism_from_dict, kept.pop("mechanisms")))
    assert BudgetPlan(**kept, mechanisms=mechanisms) == plan


@pytest.mark.parametrize("batch", [0, 1438, math.nan])
def test_a_batch_beyond_the_set_is_refused(batch: float) -> None:
    with pytest.raises(UserError, match=r"finetune\.batch_size.*n = 1437"):
        plan_budget(**{**DEMO, "expected_batch": batch}, query=QUERY, clip_norm=1.0)


def test_the_whole_set_as_a_batch_is_allowed() -> None:
    plan = plan_budget(**{**DEMO, "expected_batch": 1437}, query=QUERY, clip_norm=1.0)
    assert plan.mechanism("dp-sgd").sampling_rate == 1 and plan.composed() <= 10


def test_without_training_the_rest_must_fit_as_well() -> None:
    loud = GaussianQuery(name="semantic query", noise_multiplier=0.1, sensitivity=1)
    with pytest.raises(BudgetError, match="semantic query"):
        plan_budget(**{**DEMO, "steps": 0}, query=loud, clip_norm=1.0)


def test_a_query_above_the_budget_is_refused() -> None:
    loud = GaussianQuery(name="semantic query", noise_multiplier=0.1, sensitivity=1)
    with pytest.raises(BudgetError, match="semantic query"):
        plan_budget(**DEMO, query=loud, clip_norm=1.0)
