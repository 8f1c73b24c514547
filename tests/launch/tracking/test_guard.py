"""What the guard lets through, and that it lets nothing through by accident."""

from __future__ import annotations

import itertools

import pytest

from configs.schema import Experiment
from launch.run.stage import STAGES
from launch.tracking.guard import ORIGINS, Guard, Origin
from tests.launch.tracking.tracked import guard_of

EVERY = list(itertools.product([False, True], repeat=3))


@pytest.mark.parametrize(("public", "trusted", "insecure"), EVERY)
def test_noiseless_numbers_pass_only_for_public_sets_and_trusted_servers(
    public: bool, trusted: bool, insecure: bool
) -> None:
    guard = Guard(public_benchmark=public, trusted_server=trusted, insecure=insecure)
    assert guard.admits(Origin.SENSITIVE) == (public or trusted)
    assert guard.admits(Origin.RELEASED) == (public or trusted or not insecure)
    assert guard.admits(Origin.PUBLIC)
    assert bool(guard.notice) == (not guard.admits(Origin.SENSITIVE))
    assert ("samples" in guard.notice) == (not guard.admits(Origin.RELEASED))


def test_it_asks_the_source_and_not_its_name(tmp_path) -> None:
    (tmp_path / "train" / "a").mkdir(parents=True)
    folder = ["sensitive.name=folder", f"sensitive.root={tmp_path / 'train'}"]
    assert guard_of().open
    assert not guard_of(*folder).open
    assert guard_of(*folder, "sensitive.public_benchmark=true").open
    assert guard_of(*folder, "wandb.trusted_server=true").open
    assert not guard_of(*folder, "wandb.trusted_server=true").public_benchmark


def test_curves_of_every_training_stage_have_an_origin() -> None:
    assert set(ORIGINS) <= set(STAGES)
    for name, origin in ORIGINS.items():
        assert (origin is Origin.SENSITIVE) == STAGES[name].reads_sensitive
    assert not Experiment().wandb.trusted_server
