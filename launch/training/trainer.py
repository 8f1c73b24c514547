"""One training stage as a Lightning fit that can be stopped at any point and resumes exactly."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers.logger import Logger

from accounting.access import PrivateAccess
from configs.errors import UserError
from launch.processes.ranks import Ranks, ended, lost_another
from launch.training.checkpoint_io import DurableCheckpointIO
from launch.training.checkpointing import Checkpoint, StepCheckpoint, latest_checkpoint
from launch.training.progress_bar import ProgressBar
from launch.training.publish_barrier import PublishBarrier
from launch.training.snapshot_writer import SnapshotWriter
from launch.training.strategy import trainer_options
from lightning_modules.dp_sgd.private_training import PrivateTraining

Module = TypeVar("Module", bound=LightningModule)

POINTS = 500  # of a logged curve, roughly


class ContinueAt(Callback):
    """Starts a fit at a step other than 0: the data start there, and Lightning's counters are set to it.

    Lightning's own restoring of loops is not used. It depends on where in the loop a checkpoint was saved, and does not
    know of forfeited steps.

    Args:
        step: the step to start at.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        loop = trainer.fit_loop.epoch_loop
        loop._batches_that_stepped = self.step  # the step that Lightning passes to loggers
        loop.batch_progress.total.increment_by(self.step)  # counts the interval between validations
        if isinstance(module, PrivateTraining):
            module.forfeit(self.step)


def fit(
    module: Module,
    data: Callable[[int], LightningDataModule],
    *,
    folder: Path,
    total_steps: int,
    accelerator: str,
    minutes: float,
    every_steps: int | None = None,
    loggers: Sequence[Logger] = (),
    validate_every: int | None = None,
    access: PrivateAccess | None = None,
    require: Callable[[str], None] | None = None,
    snapshots: SnapshotWriter | None = None,
    progress: Callback | None = None,
    notice: str | None = None,
) -> Module:
    """Train a module to `total_steps`, from the newest checkpoint in `folder` if there is one.

    Args:
        module: the module with its initial weights.
        data: from the step to start at to the data. Training batches are (step, images, labels) and end with step
            total_steps - 1; the length counts all steps.
        folder: folder of the checkpoints.
        total_steps: steps of the whole stage.
        accelerator: "cpu" or "cuda".
        minutes: time between two checkpoints.
        every_steps: also save at multiples of this number of steps.
        loggers: get the curves. Those of a private stage are put behind publish barriers.
        validate_every: steps between two validations (default: no validation).
        access: access to the sensitive data, for a private stage. Its steps are entered in the ledger.
        require: raises an error if the ledger does not contain the given head.
        snapshots: writes weights during the fit.
        progress: shows the progress.
        notice: why the checkpoints are not private, to be stated in each of them; None if they are private or public.

    Returns:
        The trained module.

    Raises:
        Interrupted: after saving, if a signal asked to stop.
        UserError: if the disk is full, if another process of the job has ended, or as in `starting_step`.

    Sensitive: reads sensitive images if `access` is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ranks = Ranks.here()
    ranks.connect(torch.device(accelerator))
    found = agreed_checkpoint(folder, ranks)
    start = starting_step(found, access, require, total_steps)
    if found is not None and access is not None and ranks.first:
        catch_up(found, access)
    if found is not None and start >= total_steps:
        return finished(module, found)
    then: list[Callable[[int], None]] = []
    if not ranks.first:
        loggers = ()  # the values are those of all ranks together, and one rank writes them
    if access is not None:
        barriers = [PublishBarrier(logger) for logger in loggers]
        then += [access.progress, *(barrier.release for barrier in barriers)]
        loggers = barriers
    if snapshots is not None:
        then.append(snapshots.keep)
    wanted = snapshots.steps if snapshots else ()
    when: dict[str, Any] = {"minutes": minutes, "every_steps": every_steps, "also_at": wanted}
    saver = StepCheckpoint(folder, start=start, **when, then=then, notice=notice)
    callbacks = [ContinueAt(start), *filter(None, [progress, snapshots]), saver]
    with quiet_lightning():
        options = trainer_options(ranks, private=access is not None)
        trainer = new_trainer(folder, total_steps, accelerator, loggers, callbacks, validate_every, options)
        try:
            trainer.fit(module, datamodule=data(start), ckpt_path=found.path if found else None, weights_only=True)
        except RuntimeError as error:
            raise (ended() if lost_another(error) else error) from error
        except SystemExit as stop:
            if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning has replaced it by exit code 1
                raise KeyboardInterrupt from stop
            raise
    return module


def new_trainer(
    folder: Path,
    total_steps: int,
    accelerator: str,
    loggers: Sequence[Logger],
    callbacks: list[Callback],
    validate_every: int | None,
    options: dict[str, Any],
) -> Trainer:
    """A Trainer for one pass over a stage's steps. Saving, progress and signals are left to our callbacks."""
    return Trainer(
        accelerator=accelerator,
        **{**options, "plugins": [DurableCheckpointIO(), *options["plugins"]]},
        max_epochs=1,
        logger=loggers or False,
        log_every_n_steps=max(1, total_steps // POINTS),
        callbacks=callbacks,
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=any(
            isinstance(callback, ProgressBar) for callback in callbacks
        ),  # otherwise it adds its own
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        check_val_every_n_epoch=None,
        val_check_interval=validate_every or total_steps,
        limit_val_batches=1.0 if validate_every else 0,
    )


def agreed_checkpoint(folder: Path, ranks: Ranks) -> Checkpoint | None:
    """The checkpoint from which every process resumes: the newest that the first process can load."""
    found = latest_checkpoint(folder) if ranks.first else None
    name = ranks.broadcast(found.path.name if found else None)
    if found is not None or name is None:
        return found
    content = DurableCheckpointIO().load_checkpoint(folder / name)
    return Checkpoint(folder / name, content["steps_done"], content)


def starting_step(
    found: Checkpoint | None, access: PrivateAccess | None, require: Callable[[str], None] | None, total_steps: int
) -> int:
    """The step at which training continues.

    It is the checkpoint's step, unless the ledger says that a private stage has published more steps. Those have been
    seen, so they must not run again: they are forfeited, and training continues after them with the checkpoint's
    weights. With an insecure key they are repeated exactly instead.

    Args:
        found: the checkpoint, if there is one.
        access: access to the sensitive data, for a private stage.
        require: raises an error if the ledger does not contain the given head.
        total_steps: steps of the whole stage.

    Raises:
        LedgerError: if the ledger does not contain the head that the checkpoint states.
        UserError: if all steps are spent and no checkpoint is left.
    """
    step = found.step if found else 0
    if access is None:
        return step
    if found is not None and require is not None:
        require(found.content["ledger_head"])
    published = access.published()
    if published <= step or access.insecure:
        return step
    if found is None and published >= total_steps:
        raise UserError(
            f"all {total_steps} steps of '{access.mechanism.name}' are spent, but no checkpoint of them is left. "
            "Restore the stage's checkpoints from a copy, or start again under another run.name."
        )
    warnings.warn(
        f"the ledger has {published} published steps of '{access.mechanism.name}', the newest readable checkpoint "
        f"{step}. The {published - step} steps between are lost: they stay charged, once, and are not run again.",
        stacklevel=3,
    )
    return published


def catch_up(found: Checkpoint, access: PrivateAccess) -> None:
    """Enter a checkpoint's steps in the ledger if the process that saved it ended before it could.

    This happens before anything follows from the checkpoint. Otherwise, if the checkpoint were damaged after a snapshot
    of it was written, its steps would run again: released twice, but charged once.
    """
    if access.published() < found.step:
        access.progress(found.step)


def finished(module: Module, found: Checkpoint) -> Module:
    """The module with the weights of the last checkpoint of a complete stage."""
    module.on_load_checkpoint(found.content)
    module.load_state_dict(found.content["state_dict"])
    return module


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's notes on hardware and usage, but not its errors."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
