"""When checkpoints are saved, which stay, and which one is taken."""

from pathlib import Path

import pytest

from launch.training.checkpointing import StepCheckpoint, latest_checkpoint
from tests.launch.fits import STEPS, Stop, identical, private_fit, public_fit


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_stay(tmp_path: Path) -> None:
    public_fit(tmp_path, every_steps=2)
    assert names(tmp_path / "public") == ["step-00000010.ckpt", "step-00000012.ckpt"]


def test_clock_and_count_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(StepCheckpoint, "save", lambda self, trainer: saved.append(self.done))
    public_fit(tmp_path / "count", every_steps=5)
    assert saved == [0, 5, 10, STEPS]  # nothing is new at 0, which the real `save` sees
    saved.clear()
    public_fit(tmp_path / "clock", every_steps=None, minutes=0.0)
    assert saved == [*range(STEPS), STEPS]
    saved.clear()
    public_fit(tmp_path / "end", every_steps=None, minutes=1e6)
    assert saved == [STEPS]


@pytest.mark.slow
@pytest.mark.parametrize("cut", [0, 10, 2000])
def test_damaged_checkpoint_is_set_aside_and_the_one_before_taken(tmp_path: Path, cut: int) -> None:
    with pytest.raises(Stop):
        public_fit(tmp_path, crash=11)
    newest = tmp_path / "public" / "step-00000010.ckpt"
    newest.write_bytes(newest.read_bytes()[:cut])
    with pytest.warns(UserWarning, match=r"step-00000010\.ckpt"):
        found = latest_checkpoint(tmp_path / "public")
    assert found is not None and found.step == 5
    assert names(tmp_path / "public") == ["step-00000005.ckpt", "step-00000010.ckpt.damaged"]
    assert identical(public_fit(tmp_path), public_fit(tmp_path / "whole"))


def test_no_folder_no_checkpoint(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "nowhere") is None


def test_checkpoint_counts_steps_and_leaves_the_loops_out(tmp_path: Path) -> None:
    private_fit(tmp_path)
    found = latest_checkpoint(tmp_path / "private")
    assert found is not None
    assert found.content["steps_done"] == found.content["private_step"] == found.step == STEPS
    assert "loops" not in found.content
