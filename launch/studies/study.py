"""Many runs of one experiment: do what is left of them, and collect their results."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from accounting.ledger import Ledger
from configs.errors import UserError
from configs.files import read_json
from configs.loading import differences, load
from configs.schema import Experiment
from evaluation.comparison_statistics import Entry
from evaluation.figures import data_uri
from evaluation.scores import CONTROLS, StageCost
from launch.console import Console
from launch.processes.interrupts import Interrupted, stop_if_asked
from launch.run.directory import RunDirectory
from launch.run.guarantee import Guarantee
from launch.studies.child import run_child

DEFAULTS = ("evaluate.controls=[before]", "finetune.snapshots=0")
"""Leaves out what a study does not need: controls are separate methods, and a curve over ε consists of several runs."""
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
AGAIN = "Remove the file and give the same command again to rebuild it."


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    group: str
    """The group in which it is compared, such as its method."""
    x: float | str | None
    """The value over which groups are compared, such as ε."""
    seed: int
    """The run's seed."""
    words: tuple[str, ...]
    """Overrides that distinguish it from the other cells, without the seed."""
    label: str
    """The same as text, for the run's name."""

    @property
    def name(self) -> str:
        """The name of its run. Different labels give different names."""
        plain = "".join(c if c.isalnum() or c in "-_.=" else "_" for c in self.label).lstrip(".")[:80]
        suffix = "" if plain == self.label else "-" + hashlib.sha256(self.label.encode()).hexdigest()[:8]
        return f"{plain}{suffix}-seed{self.seed}"


@dataclass(frozen=True)
class CellResult:
    """The result of a cell."""

    cell: Cell
    """The cell."""
    entry: Entry | None
    """Its entry in the comparison, if its run finished."""
    failure: str = ""
    """Otherwise, why it did not."""


class Study:
    """The runs of a study in one folder. They share stages that saw no sensitive image.

    Args:
        folder: folder of the study.
        experiment: name or file of the experiment.
        overrides: overrides for all runs.
        cells: the runs.
        jobs: runs at once.
    """

    def __init__(
        self, folder: Path, experiment: str, overrides: Sequence[str], cells: Sequence[Cell], jobs: int = 1
    ) -> None:
        self.folder = folder
        self.experiment = experiment
        self.overrides = list(overrides)
        self.cells = list(cells)
        self.jobs = jobs
        self._configs: dict[Cell, Experiment] = {}

    def words(self, cell: Cell) -> list[str]:
        """The command of a cell's run, without `privimage`."""
        threads = [f"launch.threads={self.threads}"] if self.jobs > 1 else []
        own = [*cell.words, f"run.seed={cell.seed}", f"run.name={cell.name}", f"run.root={self.folder / 'runs'}"]
        own += [f"run.share={self.folder / 'shared'}", f"wandb.group={self.folder.name}"]
        return ["run", self.experiment, *DEFAULTS, *threads, *self.overrides, *own]

    @property
    def threads(self) -> int:
        """Threads of each run if several run at once."""
        return max(1, (os.cpu_count() or 1) // self.jobs)

    def environment(self) -> dict[str, str]:
        """The environment of a run. It limits the threads of libraries besides torch, which would compete for cores."""
        limit = {name: str(self.threads) for name in POOLS if self.jobs > 1}
        return {**limit, **os.environ}

    def directory(self, cell: Cell) -> RunDirectory:
        """The folder of a cell's run."""
        return RunDirectory(self.folder / "runs" / cell.name, Guarantee.of(self.config(cell)))

    def run(self, console: Console) -> list[CellResult]:
        """Do what is left of every cell, `jobs` of them at once. Each has its own process, so failures stay separate.

        Returns:
            The results in the order of the cells.

        Raises:
            Interrupted: if a signal asked to stop. The same command continues from there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)  # scores, and samples of methods that are not private
        numbers = {cell: f"[{number}/{len(self.cells)}] {cell.name}" for number, cell in enumerate(self.cells, start=1)}

        def result(cell: Cell) -> CellResult:
            return self.result(cell, numbers[cell], console)

        if self.jobs == 1:  # in this thread, which a second Ctrl-C reaches
            return list(map(result, self.cells))
        found: dict[Cell, CellResult] = {}
        for together in self.waves():
            with ThreadPoolExecutor(self.jobs) as pool:
                found |= dict(zip(together, pool.map(result, together), strict=True))
        return [found[cell] for cell in self.cells]

    def waves(self) -> list[list[Cell]]:
        """The cells in an order in which runs at the same time can share most of their stages.

        First one cell per seed, which trains the classifier of that seed. Then those at the first x, at the second x,
        and so on.
        """
        first: dict[int, Cell] = {}
        for cell in self.cells:
            first.setdefault(cell.seed, cell)
        xs = list(dict.fromkeys(cell.x for cell in self.cells))
        rest = [cell for cell in self.cells if cell not in first.values()]
        return [list(first.values()), sorted(rest, key=lambda cell: xs.index(cell.x))]

    def result(self, cell: Cell, title: str, console: Console) -> CellResult:
        """Do what is left of one cell, and return its result.

        Args:
            title: line that is printed first.
        """
        stop_if_asked()
        console.line(title)
        failure, entry = "", None
        try:
            failure = self.do(cell, console)
            entry = None if failure else self.entry(cell)
        except UserError as error:
            failure = str(error)
        except (KeyError, TypeError, ValueError, AttributeError) as error:  # read as JSON, but not what a run writes
            failure = f"the scores or costs in '{self.directory(cell).internal}' are damaged ({error!r}). {AGAIN}"
        if failure:
            console.line(f"  failed      {cell.name}: {failure}" if self.jobs > 1 else f"  failed      {failure}")
        elif self.jobs > 1:
            console.line(f"  done        {cell.name}")
        return CellResult(cell, entry, failure)

    def config(self, cell: Cell) -> Experiment:
        """The configuration of a cell's run."""
        if cell not in self._configs:
            self._configs[cell] = load(self.experiment, self.words(cell)[2:])
        return self._configs[cell]

    def done(self, cell: Cell) -> bool:
        """Whether a cell's run is finished and complete, with exactly this configuration."""
        directory = self.directory(cell)
        if not directory.config.is_file() or differences(load(str(directory.config)), self.config(cell)):
            return False
        made = [directory.internal / "report.html", directory.internal / "scores.json"]
        return all(path.is_file() for path in [*made, directory.outputs / "privacy.json"])

    def do(self, cell: Cell, console: Console) -> str:
        """Run or finish a cell; returns '' or why it failed."""
        if self.done(cell):
            if self.jobs == 1:
                console.line("  done before")
            return ""
        quiet = ["-q"] if console.quiet or self.jobs > 1 else []  # the lines of several runs would be mixed
        words = [sys.executable, "-m", "launch.cli", *self.words(cell), *quiet]
        code, said = run_child(words, self.environment())
        stop_if_asked()
        if code == 0:
            return ""
        if code > 128:
            raise Interrupted(code - 128)
        return said or f"its process ended with code {code}"

    def entry(self, cell: Cell) -> Entry:
        """The entry of a finished run in the comparison.

        Raises:
            UserError: if its files or its ledger are damaged.

        Sensitive: contains scores, which have no noise.
        """
        directory = self.directory(cell)
        ledger = Ledger.read(directory.ledger)
        for head in directory.known_heads():
            ledger.require(head)
        private = read_part(directory.outputs / "privacy.json", "private")
        rows = read_part(directory.internal / "scores.json", "scores")
        before = next((row for row in rows if row["name"] == CONTROLS["before"]), None)
        costs = sorted((directory.internal / "costs").glob("*.json"), key=lambda path: path.stat().st_mtime)
        return Entry(
            group=cell.group,
            x=cell.x,
            seed=cell.seed,
            epsilon=ledger.epsilon() if private else None,
            delta=ledger.terms["delta"],
            mechanisms=dict(zip(ledger.release_ids(), ledger.mechanisms(), strict=True)),
            scores=measures(rows[0]),
            before=measures(before) if before else {},
            costs=[StageCost(name=path.stem, **directory.cost(path.stem)) for path in costs],
            samples=picture(directory.outputs / "samples.png"),
        )


def read_part(path: Path, name: str) -> Any:
    """One part of a JSON file of a run.

    Raises:
        UserError: if the file is damaged, or the part is missing or empty.
    """
    found = read_json(path, AGAIN)
    if not isinstance(found, dict) or found.get(name) in (None, []):
        raise UserError(f"'{path}' is damaged: it has no {name}. {AGAIN}")
    return found[name]


def measures(row: dict[str, Any]) -> dict[str, float]:
    """The scores of a row that are not None, by their names in tables."""
    named = {name.upper(): value for name, value in row["accuracies"].items()}
    named |= {"Fréchet distance": row["frechet"], "FID": row["fid"], "Inception Score": row.get("inception_score")}
    named |= {"precision": row.get("precision"), "recall": row.get("recall")}
    return {name: float(value) for name, value in named.items() if value is not None}


def picture(path: Path) -> str:
    """A run's samples as a data URI; '' if they are missing or cannot be read."""
    try:
        with Image.open(path) as image:
            return data_uri(image.convert("RGB"))
    except OSError:
        return ""


def failures(results: Sequence[CellResult]) -> list[str]:
    """One line for each cell that failed."""
    return [f"{result.cell.name}: {result.failure}" for result in results if result.failure]


def as_json(results: Sequence[CellResult]) -> str:
    """All results as JSON."""
    return json.dumps(
        [
            {
                "run": result.cell.name,
                "group": result.cell.group,
                "x": result.cell.x,
                "seed": result.cell.seed,
                "failure": result.failure or None,
                "epsilon": result.entry.epsilon if result.entry else None,
            }
            for result in results
        ],
        indent=2,
    )
