"""What every stage gets: configuration, budget, ledger, folders, and the data, which are read when first needed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from accounting.mechanisms import Mechanism
from accounting.plan import BudgetPlan
from accounting.run_key import RunKey
from configs.schema import Experiment
from datamodules.sets.image_set import LabelledImages
from datamodules.sets.sensitive import SensitiveImages
from datamodules.sources.source import Declared, Source
from launch.components import new_classifier, new_generator, read, read_sensitive
from launch.console import Console
from launch.processes.device import pick_device
from launch.processes.ranks import Ranks
from launch.run.directory import RunDirectory
from launch.run.guarantee import Guarantee
from launch.run.reused_answers import Answer
from launch.run.setup import Setup
from launch.tracking.tracker import TrackedRun
from launch.tracking.tracking import Tracking
from lightning_modules.classifier import SemanticClassifier
from lightning_modules.weights import load_weights


class Context:
    """One run, as its stages see it. Nothing is read before a stage needs it.

    Args:
        setup: what was decided before its first stage.
        directory: its folder.
        ledger: its ledger; read-only in every process but the first.
        console: where its lines go.
        ranks: the processes that work on it.
        read: sensitive images that were read already, by whether they are the test images.
    """

    def __init__(
        self,
        setup: Setup,
        directory: RunDirectory,
        ledger: Ledger,
        console: Console,
        ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
        read: Mapping[bool, SensitiveImages] | None = None,
    ) -> None:
        self.setup = setup
        self.directory = directory
        self.ledger = ledger
        self.console = console
        self.ranks = ranks
        self._read = dict(read or {})
        self.fingerprints: dict[str, str] = {}
        """Fingerprints of the stages done so far, by role."""
        self.public_roles: set[str] = set()
        """Roles of the stages that neither saw sensitive images nor read results of stages that did."""

    @property
    def config(self) -> Experiment:
        """The run's configuration."""
        return self.setup.config

    @property
    def plan(self) -> BudgetPlan:
        """Its planned mechanisms."""
        return self.setup.plan

    @property
    def guarantee(self) -> Guarantee:
        """Whether it has a guarantee."""
        return self.setup.guarantee

    @property
    def sensitive_source(self) -> Declared:
        """What is declared of the sensitive images; the images themselves are `sensitive` and `sensitive_test`."""
        return self.setup.sources.sensitive

    @property
    def public_source(self) -> Source:
        """The source of the public images."""
        return self.setup.sources.public

    @cached_property
    def sensitive(self) -> SensitiveImages:
        """The sensitive training images.

        Sensitive: the ledger charges for what is computed from them.
        """
        return self._read_sensitive(test=False)

    @cached_property
    def public(self) -> LabelledImages:
        """The public images, in memory or on disk."""
        return read("public", self.public_source, progress=self.console.progress)

    @cached_property
    def sensitive_test(self) -> SensitiveImages:
        """The sensitive test images.

        Sensitive: not covered by the guarantee. Only for scores in `internal/`.
        """
        return self._read_sensitive(test=True)

    def _read_sensitive(self, *, test: bool) -> SensitiveImages:
        if test in self._read:
            return self._read.pop(test)
        process = f"-{self.ranks.rank}" if self.ranks.rank else ""  # each machine of a job may have files of its own
        names_to = self.directory.internal / f"unreadable-files{process}.txt"
        return read_sensitive(self.setup.sources.sensitive, names_to, test=test, progress=self.console.progress)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the sensitive categories, public by declaration."""
        return tuple(self.sensitive_source.class_names)

    @cached_property
    def run_key(self) -> RunKey:
        """The secret of this run's private randomness. The first process creates it when a private stage begins."""
        get = RunKey.create_or_load if self.ranks.first else RunKey.load
        return get(self.directory.key, self.config.privacy.insecure_key)

    def charge(self, mechanism: Mechanism, stage: str) -> PrivateAccess:
        """Charge a stage's mechanism and start it. The other processes of a job join the first one's charge.

        Args:
            mechanism: what is charged.
            stage: role of the stage; it must have its fingerprint already.

        Raises:
            LedgerError: if the composed epsilon would exceed the target, or the ledgers of the processes differ.
        """
        asked: Any = {"stage": stage, "fingerprint": self.fingerprints[stage]}
        if self.ranks.first:
            access = self.ledger.reserve(mechanism, **asked, run_key=self.run_key)
            self.ranks.broadcast(access.ledger_head)
            self.ranks.all_gather(None)  # the others join before anything more is written
            return access
        start = self.ranks.broadcast("")
        self.ledger = Ledger.read(self.directory.ledger)
        access = self.ledger.join(start, mechanism, **asked, run_key=self.run_key)
        self.ranks.all_gather(None)
        return access

    def take_over(self, answer: Answer) -> None:
        """Charge, once, what an answer of another run cost."""
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
        """The dashboards of this run. Only the first process of a job has any."""
        if not self.ranks.first:
            return Tracking(None)
        guard = self.guarantee.guard(self.config, self.sensitive_source)
        return Tracking(TrackedRun(self.config, self.guarantee.planned(self.plan), self.directory.internal, guard))

    def has(self, role: str) -> bool:
        """Whether the run has a stage of this role, and has done it."""
        return role in self.fingerprints

    def notice(self, role: str) -> str | None:
        """Why the results of a stage are not private, to be stated in its files; None if they are private or public."""
        return None if role in self.public_roles else self.guarantee.notice

    @property
    def may_show(self) -> bool:
        """Whether the console may show what follows from the query's answer.

        It may not if the answer is exact and the sensitive set is not a public benchmark. A set is a public benchmark
        by a constant of its source, or by declaration.
        """
        return self.guarantee.without_noise is None or self.sensitive_source.public_benchmark

    def folder(self, role: str) -> Path:
        """The folder of a stage's artefacts."""
        return self.directory.stage(role)

    @property
    def outputs(self) -> Path:
        """Folder of the synthetic images and the model: `release/` if they are private."""
        return self.directory.outputs

    def metrics_folder(self, stage: str) -> Path:
        """Folder of a stage's curves. They are not private."""
        return self.directory.internal / "metrics" / stage

    def generator(self, classes: int | None = None) -> Any:
        """A new generator, with initial weights from the run's seed.

        Args:
            classes: number of categories (default: that of the sensitive ones).
        """
        return new_generator(self.config, len(self.class_names) if classes is None else classes)

    def new_classifier(self) -> SemanticClassifier:
        """A new semantic classifier of the public categories, with initial weights from the run's seed."""
        return new_classifier(self.config, len(self.public_source.class_names))

    def trained_classifier(self) -> SemanticClassifier:
        """The classifier that the stage `classifier` trained, in evaluation mode on the run's device."""
        classifier = self.new_classifier()
        load_weights(classifier.network, self.folder("classifier") / "classifier.safetensors")
        return classifier.to(self.device).eval()
