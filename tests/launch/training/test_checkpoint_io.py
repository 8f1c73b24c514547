"""Checkpoints: damage is noticed, and a full disk leaves what was there."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import UserError
from launch.training.checkpoint_io import CorruptCheckpoint, DurableCheckpointIO

CONTENT = {"weights": {"w": torch.arange(500.0)}, "private_step": 7, "ledger_head": "abc", "none": None}


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.ckpt"
    DurableCheckpointIO().save_checkpoint(CONTENT, path)
    loaded = DurableCheckpointIO().load_checkpoint(path)
    assert torch.equal(loaded.pop("weights")["w"], CONTENT["weights"]["w"])
    assert loaded == {key: value for key, value in CONTENT.items() if key != "weights"}
    assert [entry.name for entry in path.parent.iterdir()] == ["one.ckpt"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7), st.booleans())
def test_any_flipped_bit_or_missing_end_is_noticed(tmp_path: Path, where: float, bit: int, cut: bool) -> None:
    path = tmp_path / "one.ckpt"
    DurableCheckpointIO().save_checkpoint(CONTENT, path)
    content = bytearray(path.read_bytes())
    at = int(where * len(content))
    content[at] ^= 1 << bit
    path.write_bytes(content[:at] if cut else content)
    with pytest.raises(CorruptCheckpoint, match=r"one\.ckpt"):
        DurableCheckpointIO().load_checkpoint(path)


def test_objects_are_refused(tmp_path: Path) -> None:
    DurableCheckpointIO().save_checkpoint({"module": torch.nn.Linear(1, 1)}, tmp_path / "one.ckpt")
    with pytest.raises(Exception, match="weights_only"):
        DurableCheckpointIO().load_checkpoint(tmp_path / "one.ckpt", weights_only=False)


def test_full_disk_is_one_message_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "one.ckpt"
    DurableCheckpointIO().save_checkpoint({"private_step": 1}, path)
    child = os.fork()
    if child == 0:  # a limit on the size of files stands in for the full disk, and cannot be lifted again
        os._exit(_save_with_little_room(path))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert DurableCheckpointIO().load_checkpoint(path) == {"private_step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.ckpt"]


def _save_with_little_room(path: Path) -> int:
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        DurableCheckpointIO().save_checkpoint({"weights": torch.zeros(10_000)}, path)
    except UserError as error:
        return 0 if str(path) in str(error) else 3
    except BaseException:
        return 4
    return 5
