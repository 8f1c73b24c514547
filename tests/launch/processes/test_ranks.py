"""Training on several processes, which are forked; `test_job` starts some by torchrun as a user would."""

from pathlib import Path

import pytest
import torch

from accounting.ledger import Ledger
from tests.launch import ranks_job
from tests.launch.jobs import Ended, forked
from tests.lightning_modules.dp_sgd.toy import toy

pytestmark = pytest.mark.slow

STEPS = 20


def job(folder: Path, processes: int, *, stop: int = STEPS) -> Ended:
    """A job of these tests on a number of forked processes."""
    folder.mkdir(parents=True, exist_ok=True)
    return forked(processes, lambda: ranks_job.main(folder, STEPS, stop), folder / "output")


def final_weights(folder: Path, processes: int, fit: str = "weights") -> dict[str, torch.Tensor]:
    """The final weights and averages, after a check that all processes have the same."""
    states = [torch.load(folder / f"{fit}-{rank}-of-{processes}.pt") for rank in range(processes)]
    for state in states[1:]:
        assert all(torch.equal(state[name], value) for name, value in states[0].items())
    return states[0]


def difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    """The largest difference between two sets of weights."""
    assert first.keys() == second.keys()
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    ranks_job.main(folder, STEPS, STEPS)
    return folder


@pytest.mark.parametrize("processes", [2, 3])
def test_steps_with_noise_and_without_do_not_depend_on_the_number_of_processes(
    tmp_path: Path, alone: Path, processes: int
) -> None:
    result = job(tmp_path, processes)
    assert result.returncode == 0, result.text[-3000:]
    one, many = final_weights(alone, 1), final_weights(tmp_path, processes)
    assert difference(one, many) < 1e-6
    for fit in ("public-2", "public-5"):
        assert difference(final_weights(alone, 1, fit), final_weights(tmp_path, processes, fit)) < 1e-6
    rows, _ = torch.load(alone / "shared-0-of-1.pt")
    for rank in range(processes):
        found, total = torch.load(tmp_path / f"shared-{rank}-of-{processes}.pt")
        assert torch.equal(found, rows)
        assert total.tolist() == [sum(range(i, i + processes)) for i in range(3)]
    start = toy(noise=0.0).double().network.state_dict()
    moved = {name.removeprefix("model.network."): v for name, v in one.items() if name.startswith("model.network.")}
    assert difference(start, moved) > 1e-2
    ledgers = [Ledger.read(folder / "ledger.jsonl") for folder in (alone, tmp_path)]
    assert ledgers[0].epsilon() == ledgers[1].epsilon()
    assert [entry["kind"] for entry in ledgers[1].entries] == [entry["kind"] for entry in ledgers[0].entries]


@pytest.mark.parametrize(("before", "after"), [(2, 3)])
def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path, alone: Path, before: int, after: int) -> None:
    crashed = job(tmp_path, before, stop=13)
    assert crashed.returncode != 0 and "Stop" in crashed.text
    assert Ledger.read(tmp_path / "ledger.jsonl").published("dp-sgd") == 10
    resumed = job(tmp_path, after)
    assert resumed.returncode == 0, resumed.text[-3000:]
    assert difference(final_weights(alone, 1), final_weights(tmp_path, after)) < 1e-6
    ledgers = [Ledger.read(folder / "ledger.jsonl") for folder in (alone, tmp_path)]
    assert ledgers[0].epsilon() == ledgers[1].epsilon()
    assert ledgers[1].published("dp-sgd") == STEPS
