"""Resumption, through the real Lightning Trainer and by hand."""

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch.nn import functional

from datamodules.batches.public import PublicData, ShuffledBatches
from datamodules.batches.step_batches import Part
from tests.datamodules.numbered import numbered_set, records

STEPS = 7


class Recorder(pl.LightningModule):
    """A linear model that notes the records of each step, and saves a checkpoint and stops after one of them."""

    def __init__(self, stop_after: int | None = None, checkpoint: Path | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(16, 3)
        self.stop_after = stop_after
        self.checkpoint = checkpoint
        self.seen: dict[int, list[int]] = {}
        self.validated = 0

    def training_step(self, batch, index):
        step, images, labels = batch
        assert step not in self.seen and step == index
        self.seen[step] = images[:, 0, 0, 0].tolist()
        return functional.cross_entropy(self.layer(images.float().flatten(1) / 255), labels)

    def on_train_batch_end(self, outputs, batch, index):
        if index == self.stop_after:
            self.trainer.save_checkpoint(self.checkpoint)
            self.trainer.should_stop = True

    def validation_step(self, batch, index):
        self.validated += len(batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module: Recorder, data: PublicData, folder: Path, ckpt_path: Path | None = None) -> None:
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, data, ckpt_path=ckpt_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("explicit_start", [False, True])
@pytest.mark.parametrize("stop_after", [0, 3, STEPS - 2, STEPS - 1])
def test_a_fit_stopped_within_its_epoch_goes_on_at_the_next_step(tmp_path, stop_after, explicit_start):
    def data(start: int = 0) -> PublicData:
        return PublicData(numbered_set(10), 4, STEPS, seed=3, start=start)

    torch.manual_seed(0)
    whole = Recorder()
    fit(whole, data(), tmp_path)

    torch.manual_seed(0)
    first = Recorder(stop_after, tmp_path / "stopped.ckpt")
    fit(first, data(), tmp_path)
    assert list(first.seen) == list(range(stop_after + 1))

    second = Recorder()
    fit(second, data(stop_after + 1 if explicit_start else 0), tmp_path, ckpt_path=tmp_path / "stopped.ckpt")
    assert list(second.seen) == list(range(stop_after + 1, STEPS))
    assert {**first.seen, **second.seen} == whole.seen
    assert torch.equal(second.layer.weight, whole.layer.weight)


@pytest.mark.filterwarnings("ignore")
def test_validation_images_are_all_seen(tmp_path):
    module = Recorder()
    fit(module, PublicData(numbered_set(10), 4, 2, 0, validation=numbered_set(7), validation_batch_size=3), tmp_path)
    assert module.validated == 7


def test_the_state_names_the_next_step_and_a_contradiction_is_refused():
    images = numbered_set(10)
    loader = ShuffledBatches(images, 4, STEPS, 0)
    batches = iter(loader)
    next(batches), next(batches)
    state = loader.state_dict()
    assert state == {"step": 2}
    resumed = ShuffledBatches(images, 4, STEPS, 0)
    resumed.load_state_dict(state)
    assert list(records(resumed)) == [2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="starts at step 3, the checkpoint at step 2"):
        ShuffledBatches(images, 4, STEPS, 0, start=3).load_state_dict(state)


@pytest.mark.parametrize(("start", "rank", "world"), [(8, 0, 1), (-1, 0, 1), (0, 1, 1), (0, 2, 2), (0, -1, 1)])
def test_places_that_do_not_exist_are_refused(start, rank, world):
    with pytest.raises(ValueError):
        ShuffledBatches(numbered_set(3), 2, STEPS, 0, start=start, part=Part(rank, world))


def test_a_finished_loader_repeats_nothing():
    loader = ShuffledBatches(numbered_set(3), 2, STEPS, 0)
    assert len(list(loader)) == STEPS == len(loader)
    assert list(loader) == []
