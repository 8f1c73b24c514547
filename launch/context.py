"""What every stage is given: configuration, budget, ledger, folders, and the data, read when first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from accounting.mechanisms import Mechanism
from accounting.plan import BudgetPlan
from accounting.run_key import RunKey
from configs.errors import UserError
from configs.files import atomic_write
from configs.schema import Experiment
from datamodules.image_set import ImageSet, LabelledImages
from datamodules.sources import Source
from launch.console import Console
from launch.data import naming, public_source, read, read_sensitive, sensitive_source
from launch.guarantee import no_guarantee, without_noise
from launch.ranks import Ranks
from launch.reuse import Answer
from launch.run_directory import RunDirectory
from launch.tracking.guard import Guard
from launch.tracking.tracker import TrackedRun
from launch.tracking.tracking import Tracking
from lightning_modules.classifier import SemanticClassifier
from lightning_modules.registries import GENERATORS


class Context:
    """One run, as its stages see it. Nothing is read before a stage asks for it."""

    def __init__(
        self,
        config: Experiment,
        plan: BudgetPlan,
        directory: RunDirectory,
        ledger: Ledger,
        console: Console,
        ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
    ) -> None:
        self.config = config
        self.plan = plan
        self.directory = directory
        self.ledger = ledger
        self.console = console
        self.ranks = ranks
        self.fingerprints: dict[str, str] = {}
        self.public_roles: set[str] = set()  # stages that neither saw sensitive images nor read what did

    @cached_property
    def sensitive_source(self) -> Source:
        """The source of the sensitive images; opens no image."""
        return sensitive_source(self.config)

    @cached_property
    def public_source(self) -> Source:
        """The source of the public images."""
        return public_source(self.config)

    @cached_property
    def sensitive(self) -> ImageSet:
        """The sensitive training images. SENSITIVE: reading them is what the ledger charges for."""
        return self._read_sensitive(test=False)

    @cached_property
    def public(self) -> LabelledImages:
        """The public images, in memory or on disk."""
        return read("public", self.public_source, progress=self.console.progress)

    @cached_property
    def sensitive_test(self) -> ImageSet:
        """The sensitive test images. SENSITIVE, not covered by the guarantee: for scores in `internal/` alone."""
        return self._read_sensitive(test=True)

    def _read_sensitive(self, *, test: bool) -> ImageSet:
        process = f"-{self.ranks.rank}" if self.ranks.rank else ""  # each machine of a job may have files of its own
        names_to = self.directory.internal / f"unreadable-files{process}.txt"
        return read_sensitive(self.sensitive_source, names_to, test=test, progress=self.console.progress)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the sensitive categories, public by declaration."""
        return tuple(self.sensitive_source.class_names)

    @cached_property
    def run_key(self) -> RunKey:
        """The secret of this run's private randomness, made by the first process when a private stage begins."""
        get = RunKey.create_or_load if self.ranks.first else RunKey.load
        return get(self.directory.key, self.config.privacy.insecure_key)

    def charge(self, mechanism: Mechanism, stage: str) -> PrivateAccess:
        """Charge a stage's mechanism and start it. The other processes of a job join the first one's charge."""
        asked: Any = {"stage": stage, "fingerprint": self.fingerprints[stage]}
        if self.ranks.first:
            access = self.ledger.reserve(mechanism, **asked, run_key=self.run_key)
            self.ranks.told(access.ledger_head)
            self.ranks.all_told(None)  # the others join before anything more is written
            return access
        start = self.ranks.told("")
        self.ledger = Ledger.read(self.directory.ledger)
        access = self.ledger.join(start, mechanism, **asked, run_key=self.run_key)
        self.ranks.all_told(None)
        return access

    def take_over(self, answer: Answer) -> None:
        """Charge what an answer of another run has cost, once."""
        if self.ranks.first:
            self.ledger.inherit(answer.mechanism, source=answer.release_id)

    def forget_key(self) -> None:
        """Destroy the run key: no private stage is left that needs it."""
        self.__dict__.pop("run_key", None)
        RunKey.destroy(self.directory.key)
        if self.config.privacy.insecure_key is None and self.ledger.entries[-1]["kind"] != "note":
            self.ledger.note("run key destroyed")

    @cached_property
    def device(self) -> torch.device:
        """Where networks run."""
        return pick_device(self.config, self.ranks)

    @cached_property
    def tracking(self) -> Tracking:
        """The dashboards of this run; none in the other processes of a job."""
        guard = Guard.of(self.config, self.sensitive_source)
        return Tracking(TrackedRun(self.config, self.plan, self.directory, guard) if self.ranks.first else None)

    def has(self, role: str) -> bool:
        """Whether the run has a stage of this role, done by now."""
        return role in self.fingerprints

    def notice(self, role: str) -> str | None:
        """Why what a stage makes is not private, for its files to say; None where it is private, or public."""
        return None if role in self.public_roles else no_guarantee(self.config)

    @property
    def may_show(self) -> bool:
        """Whether the console may show what follows from the query's answer: not if that is exact and the set is not.

        The set is public by a constant of its source, or by declaration.
        """
        return without_noise(self.config) is None or self.sensitive_source.public_benchmark

    def folder(self, role: str) -> Path:
        """The folder of a stage's artefacts."""
        return self.directory.stage(role)

    @property
    def outputs(self) -> Path:
        """Where synthetic images and model go; `release/` where they are private."""
        return self.directory.outputs_of(self.config)

    def metrics_folder(self, stage: str) -> Path:
        """Where a stage's curves go. NOT private."""
        return self.directory.internal / "metrics" / stage

    def generator(self, classes: int | None = None) -> Any:
        """A new generator with the initial weights that the run's seed gives, of the sensitive categories or others."""
        return new_generator(self.config, len(self.class_names) if classes is None else classes)

    def new_classifier(self) -> SemanticClassifier:
        """A new semantic classifier with the initial weights that the run's seed gives."""
        return new_classifier(self.config, len(self.public_source.class_names))

    def trained_classifier(self) -> SemanticClassifier:
        """The classifier that the stage `classifier` left."""
        classifier = self.new_classifier()
        load_weights(classifier.network, self.folder("classifier") / "classifier.safetensors")
        return classifier.to(self.device).eval()


def pick_device(config: Experiment, ranks: Ranks = Ranks()) -> torch.device:  # noqa: B008 (frozen)
    """The device that is configured or, for `auto`, found; sets the number of CPU threads."""
    if config.launch.threads:
        torch.set_num_threads(config.launch.threads)
    elif ranks.world == 1 and config.launch.devices > 1:  # measuring for several processes, which share the cores
        torch.set_num_threads(max(1, torch.get_num_threads() // config.launch.devices))
    wanted = config.launch.accelerator
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("launch.accelerator: no CUDA device is visible. Use launch.accelerator=cpu or auto.")
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
    if kind == "cuda" and ranks.world > 1:
        if ranks.local_world > torch.cuda.device_count():
            raise UserError(
                f"launch.devices: {ranks.local_world} processes on this machine, but {torch.cuda.device_count()} GPUs. "
                "Start one process a GPU."
            )
        torch.cuda.set_device(ranks.rank % ranks.local_world)
        return torch.device(kind, ranks.rank % ranks.local_world)
    return torch.device(kind)


def new_generator(config: Experiment, classes: int) -> Any:
    """A generator with the initial weights that the run's seed gives."""
    torch.manual_seed(config.run.seed)
    with naming("generator"):
        return GENERATORS.build(config.generator, image=config.image, classes=classes)


def new_classifier(config: Experiment, classes: int) -> SemanticClassifier:
    """A semantic classifier with the initial weights that the run's seed gives."""
    torch.manual_seed(config.run.seed)
    with naming("classifier"):
        return SemanticClassifier(config.classifier.network, config.classifier, config.image, classes)


def save_weights(network: nn.Module, path: Path, notice: str | None = None) -> None:
    """Write a network's weights as safetensors, durably and as a whole; `notice` goes into the file's metadata."""
    weights: dict[str, Tensor] = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    data = save(weights, metadata={"notice": notice} if notice else None)
    atomic_write(path, lambda file: file.write(data))


def load_weights(network: nn.Module, path: Path) -> None:
    """Read weights that `save_weights` wrote. Raises UserError for a missing or damaged file."""
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:  # safetensors raises its own errors, torch a RuntimeError, the system an OSError
        raise UserError(
            f"cannot read the weights '{path}': {error}. Remove this file alone and give the command again."
        ) from error
