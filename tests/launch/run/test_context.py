"""What stages get: networks that depend only on the seed, weights, and a key that can be destroyed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from configs.errors import UserError
from configs.loading import load
from launch.components import new_classifier, new_generator
from launch.preflight.checked_setup import planned
from launch.processes.device import pick_device
from launch.run.context import Context
from lightning_modules.weights import load_weights, save_weights
from tests.launch.run.test_stage import context
from tests.launch.runs import FIXED, TINY

CONFIG = load("demo", TINY)


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("new", [new_generator, new_classifier])
def test_initial_weights_are_a_function_of_the_seed(new) -> None:
    torch.manual_seed(1)
    first = new(CONFIG, 10)
    torch.manual_seed(2)
    torch.rand(7)
    assert same_weights(new(CONFIG, 10), first)
    assert not same_weights(new(load("demo", [*TINY, "run.seed=1"]), 10), first)


def test_weights_come_back(tmp_path: Path) -> None:
    one, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    save_weights(one, tmp_path / "a" / "weights.safetensors")
    load_weights(other, tmp_path / "a" / "weights.safetensors")
    assert same_weights(one, other)


def test_weights_that_cannot_be_read_are_one_message(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    network = torch.nn.Linear(3, 2)
    with pytest.raises(UserError, match=r"there are no weights at '.*weights\.safetensors'.*command again"):
        load_weights(network, path)
    save_weights(network, path)
    with pytest.raises(UserError, match="cannot read the weights"):
        load_weights(torch.nn.Linear(4, 2), path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="cannot read the weights"):
        load_weights(network, path)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device(load("demo", ["launch.accelerator=auto"])) == torch.device("cpu")
    with pytest.raises(UserError, match=r"launch\.accelerator: no CUDA device"):
        pick_device(load("demo", ["launch.accelerator=cuda"]))


def test_threads_are_as_configured() -> None:
    before = torch.get_num_threads()
    try:
        pick_device(load("demo", ["launch.threads=1"]))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_the_key_is_made_once_kept_secret_and_forgotten(tmp_path: Path) -> None:
    here = context(tmp_path)
    first = here.run_key.derive(b"purpose")
    assert here.run_key.derive(b"purpose") == first
    assert here.directory.key.stat().st_mode & 0o777 == 0o600
    assert here.directory.key.parent == here.directory.internal
    here.forget_key()
    assert not here.directory.key.exists()
    assert here.ledger.entries[-1]["text"] == "run key destroyed"
    lines = len(here.ledger.entries)
    here.forget_key()
    assert len(here.ledger.entries) == lines
    assert here.run_key.derive(b"purpose") != first


def test_a_fixed_key_is_never_written(tmp_path: Path) -> None:
    here = context(tmp_path)
    fixed = Context(planned(load("demo", [*TINY, FIXED])), here.directory, here.ledger, here.console)
    assert fixed.run_key.insecure
    fixed.forget_key()
    assert not here.directory.key.exists()


def test_the_sources_are_those_of_the_configuration(tmp_path: Path) -> None:
    here = context(tmp_path)
    assert here.class_names == tuple("0123456789")
    assert len(here.sensitive) == 1437 and len(here.sensitive_test) == 360
    assert len(here.public) == 6 * len(here.public_source.class_names)
    for images in (here.sensitive.exposed(), here.public):
        assert images.images.shape[1:] == (1, 8, 8) and images.images.dtype == np.uint8
