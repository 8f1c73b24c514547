"""Snapshots of the weights during fine-tuning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from launch.training import snapshot_writer
from launch.training.checkpointing import latest_checkpoint
from launch.training.snapshot_writer import SnapshotWriter, snapshot_steps
from tests.launch.fits import STEPS, Stop, identical, private_fit


def kept(folder: Path) -> dict[str, dict[str, Tensor]]:
    return {path.name: load_file(path) for path in sorted((folder / "snapshots").glob("*"))}


def same(one: dict[str, dict[str, Tensor]], other: dict[str, dict[str, Tensor]]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(value, other[file][name]) for file, found in one.items() for name, value in found.items()
    )


def writer(folder: Path, *steps: int) -> SnapshotWriter:
    return SnapshotWriter(folder / "snapshots", steps)


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(40, 4, [8, 16, 24, 32]), (4, 1, [2]), (4, 9, [1, 2, 3]), (1, 5, []), (100, 0, []), (3, 1, [2])],
)
def test_steps_are_even_and_leave_out_both_ends(total: int, count: int, expected: list[int]) -> None:
    assert snapshot_steps(total, count) == expected


@pytest.mark.slow
def test_the_averaged_weights_of_the_wanted_steps_are_kept(tmp_path: Path) -> None:
    private_fit(tmp_path / "a", snapshots=writer(tmp_path / "a", 3, 7), every_steps=None)
    files = kept(tmp_path / "a")
    assert list(files) == ["step-00000003.safetensors", "step-00000007.safetensors"]
    for step, file in ((3, files["step-00000003.safetensors"]), (7, files["step-00000007.safetensors"])):
        with pytest.raises(Stop):  # the same steps, up to here
            private_fit(tmp_path / str(step), crash=step + 2, every_steps=step)
        found = latest_checkpoint(tmp_path / str(step) / "private")
        assert found is not None and found.step == step
        for name, value in file.items():
            assert torch.equal(value, found.content["state_dict"][f"ema.module.{name}"])


@pytest.mark.slow
def test_snapshots_change_nothing_of_the_result(tmp_path: Path) -> None:
    assert identical(private_fit(tmp_path / "with", snapshots=writer(tmp_path / "with", 4)), private_fit(tmp_path))


def test_each_is_written_when_its_step_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable: list[int] = []
    real = snapshot_writer.save_weights

    def look(network: torch.nn.Module, path: Path) -> None:
        found = latest_checkpoint(tmp_path / "private")
        durable.append(found.step if found else 0)
        real(network, path)

    monkeypatch.setattr(snapshot_writer, "save_weights", look)
    private_fit(tmp_path, snapshots=writer(tmp_path, 3, 7), every_steps=None)
    assert durable == [3, 7]


@pytest.mark.slow
def test_one_that_a_crash_cut_off_is_made_up_for(tmp_path: Path) -> None:
    private_fit(tmp_path / "whole", snapshots=writer(tmp_path / "whole", 5, 8))
    with pytest.raises(Stop):
        private_fit(tmp_path, snapshots=writer(tmp_path, 5, 8), crash=7)
    (tmp_path / "snapshots" / "step-00000005.safetensors").unlink()  # its checkpoint is durable, it is not
    private_fit(tmp_path, snapshots=writer(tmp_path, 5, 8))
    assert same(kept(tmp_path), kept(tmp_path / "whole"))
    assert STEPS > 8
