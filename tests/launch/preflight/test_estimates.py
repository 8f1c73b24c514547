"""What a run will take, measured only on public images."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from configs.loading import load
from configs.schema import Experiment
from evolution.apis.model import DiffusionApi
from evolution.samples import Samples
from launch.components import public_source
from launch.preflight.checked_setup import planned
from launch.preflight.estimates import estimates, measure_pretraining, measure_sampling
from launch.preflight.measuring import Job, Measurement
from lightning_modules.networks.unet import UNet
from tests.launch.runs import TINY, privimage
from tests.launch.setups import plan

pytestmark = pytest.mark.slow

NETWORK_STAGES = ["classifier", "query", "pretrain", "finetune", "synthesize"]


@pytest.fixture(scope="module")
def unreadable(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A sensitive set of files that are not images: opening one fails."""
    root = tmp_path_factory.mktemp("sensitive")
    for number in range(300):
        file = root / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_text("no image")
    return [*TINY, "sensitive.name=folder", f"sensitive.root={root}", "privacy.delta=1e-4"]


@pytest.mark.parametrize("stages", [NETWORK_STAGES, ["classifier"]])
def test_every_stage_with_a_network_is_measured_and_no_sensitive_image_is_read(unreadable: list[str], stages) -> None:
    every = ["classifier", "query", "select", "pretrain", "finetune", "synthesize"] if len(stages) > 1 else stages
    config = load("demo", [*unreadable, f"stages=[{','.join(every)}]"])
    found = estimates(planned(config), torch.device("cpu"), Job())
    assert [estimate.stage for estimate in found] == stages
    assert all(estimate.seconds > 0 and estimate.peak_bytes > 0 and estimate.basis for estimate in found)


def test_the_plan_that_is_printed_is_the_plan(unreadable: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("preflight", "demo", *unreadable, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    budget = plan(load("demo", unreadable))
    assert [row["noise_multiplier"] for row in told["mechanisms"]] == [m.noise_multiplier for m in budget.mechanisms]
    assert told["n"] == budget.n and told["delta"] == budget.delta == 1e-4
    assert told["composed"] == {name: budget.composed(name) for name in ("rdp", "prv")}
    assert told["remaining"] == budget.remaining >= 0
    assert [row["stage"] for row in told["estimates"]] == NETWORK_STAGES
    assert told["total_seconds"] == pytest.approx(sum(row["seconds"] for row in told["estimates"]))


def test_nothing_is_written(unreadable: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("preflight", "demo", *unreadable, f"run.root={tmp_path}", "--no-measure") == 0
    text = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    for part in ("semantic query", "dp-sgd", "noise multiplier", "ε by itself", "RDP ε =", "PRV ε =", "left: "):
        assert part in text


NAMES = tuple("0123456789")


def asked(config: Experiment, job: Job) -> Measurement:
    """The measurements of a run of the digits."""
    return Measurement(config, public_source(config).test(progress=False), NAMES, 1437, torch.device("cpu"), job)


def test_each_device_of_a_job_takes_its_part_of_a_batch() -> None:
    config = load("demo", [*TINY, "pretrain.batch_size=8", "pretrain.micro_batch=3"])
    alone, shared = (measure_pretraining(asked(config, Job(count))).basis for count in (1, 4))
    assert "8 images, 3 at once" in alone and "8 images, 2 at once" in shared


@pytest.mark.parametrize("words", [[], ["synthesize.precision=bf16"]])
def test_sampling_is_measured_as_it_will_be_done(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In the precision of the stage, with the network left as it was."""
    seen: list[bool] = []
    plain = UNet.forward

    def forward(self: UNet, *inputs: torch.Tensor) -> torch.Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return plain(self, *inputs)

    monkeypatch.setattr(UNet, "forward", forward)
    config = load("demo", [*TINY, *words])
    estimate = measure_sampling(asked(config, Job()))
    assert set(seen) == {bool(words)}
    assert estimate.basis == f"60 images in {config.synthesize.precision}"


def test_a_ceiling_is_measured_for_the_steps_it_will_take() -> None:
    config = load("demo", [*TINY, "method=nonpriv_d", "pretrain.steps=7", "finetune.steps_without_noise=3"])
    found = {estimate.stage: estimate.basis for estimate in estimates(planned(config), torch.device("cpu"), Job())}
    assert found["pretrain"].startswith("7 steps") and found["finetune"].startswith("3 steps")


@pytest.mark.parametrize("method", ["sim_pe", "pe", "sim_pe_then_pe"])
def test_evolution_is_measured_without_a_sensitive_image(unreadable: list[str], method: str) -> None:
    config = load("demo", [*unreadable, f"method={method}", "selection.names=['1 -> a', '2 -> b']"])
    found = {estimate.stage: estimate for estimate in estimates(planned(config), torch.device("cpu"), Job())}
    assert found["evolve"].seconds > 0 and "2 rounds of 6 candidates" in found["evolve"].basis
    assert found["publish_evolved"].seconds > 0 and found["publish_evolved"].basis == "60 images"


def test_every_api_of_a_chain_counts_with_its_rounds(
    unreadable: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One API takes an hour for each of two later rounds, on a clock that it moves itself."""
    clock = [0.0]

    def an_hour(api: DiffusionApi, samples: Samples, degree: float, rng: object) -> Samples:
        clock[0] += 3600
        return samples

    monkeypatch.setattr("launch.preflight.measuring.time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(DiffusionApi, "vary", an_hour)
    config = load("demo", [*unreadable, "method=sim_pe_then_pe", "evolution.rounds=5", "evolution.api.then_from=3"])
    found = {estimate.stage: estimate for estimate in estimates(planned(config), torch.device("cpu"), Job())}
    assert found["evolve"].seconds == pytest.approx(2 * 2 * 3600)  # of two categories, six candidates at once
