"""The folder of a run: what it contains, who may write to it, and whether it belongs to this configuration."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.files import atomic_json, atomic_text, read_json
from configs.loading import differences, load, to_yaml
from configs.schema import Experiment
from launch.processes.resources import Meter
from launch.run.guarantee import Guarantee

MARK = "NOT_PRIVATE.txt"  # in the folder of a run without a guarantee, and the first file in it


class RunDirectory:
    """Paths of one run. `release/` is safe to publish, `internal/` is not private.

    Args:
        path: the run's folder.
        guarantee: whether the run has a guarantee; only needed for its outputs.
    """

    def __init__(self, path: Path, guarantee: Guarantee | None = None) -> None:
        self.path = Path(path)
        self._guarantee = guarantee
        self.config = self.path / "config.yaml"
        self.plan = self.path / "plan.json"
        self.ledger = self.path / "ledger.jsonl"
        self.release = self.path / "release"
        self.internal = self.path / "internal"
        self.key = self.internal / "key"
        self.not_private = self.internal / "outputs"  # instead of a release, if the run takes no noise

    @property
    def guarantee(self) -> Guarantee:
        """Whether the run has a guarantee."""
        if self._guarantee is None:
            raise RuntimeError(f"whether '{self.path}' has a guarantee was not said")
        return self._guarantee

    @property
    def outputs(self) -> Path:
        """Folder of the run's synthetic images and model: `release/`, or one in `internal/` if a stage takes no noise.

        The guarantee decides, not which folders exist.
        """
        return self.release if self.guarantee.without_noise is None else self.not_private

    def stage(self, name: str) -> Path:
        """The folder of a stage's artefacts."""
        return self.path / "stages" / name

    def marker(self, name: str) -> dict[str, Any] | None:
        """The record of a finished stage (`fingerprint`, `line`, `ledger_head`), or None.

        Raises:
            UserError: if the record is damaged.
        """
        path = self.stage(name) / "done.json"
        if not path.is_file():
            return None
        advice = f"Remove the file, and only it, to have the stage '{name}' checked again."
        record = read_json(path, advice)
        if not isinstance(record, dict) or not {"fingerprint", "line", "ledger_head"} <= record.keys():
            raise UserError(f"'{path}' is not the record of a finished stage. {advice}")
        return record

    def known_heads(self) -> list[str]:
        """The ledger heads under which finished stages, the query's answer and the release were made.

        The ledger must contain them all. Otherwise something was published that it does not know of.

        Raises:
            UserError: if a record is damaged.
        """
        names = sorted(path.parent.name for path in self.path.glob("stages/*/done.json"))
        markers = [marker for name in names if (marker := self.marker(name)) is not None]
        advice = "Restore it from a copy, or start again under another run.name."
        others = [self.stage("query") / "histogram.json", self.release / "privacy.json"]
        records = [*markers, *(read_json(path, advice) for path in others if path.is_file())]
        return [record["ledger_head"] for record in records]

    def mark(self, name: str, record: dict[str, Any]) -> None:
        """Record that a stage is finished."""
        atomic_json(self.stage(name) / "done.json", record)

    def cost(self, name: str) -> dict[str, Any]:
        """What all attempts at a stage took together: `seconds`, `peak_bytes`, `gpu_peak_bytes`. Not private."""
        path = self.internal / "costs" / f"{name}.json"
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError):
            return {"seconds": 0.0, "peak_bytes": 0, "gpu_peak_bytes": 0}

    def add_cost(self, name: str, meter: Meter) -> None:
        """Add one attempt at a stage to its cost."""
        before = self.cost(name)
        total = {
            "seconds": round(before["seconds"] + meter.seconds, 2),
            "peak_bytes": max(before["peak_bytes"], meter.peak_bytes),
            "gpu_peak_bytes": max(before["gpu_peak_bytes"], meter.gpu_peak_bytes),
        }
        atomic_json(self.internal / "costs" / f"{name}.json", total)

    def check(self, config: Experiment) -> None:
        """Check that the folder is free for a configuration, or was created by it. Writes nothing.

        Raises:
            UserError: if it belongs to another configuration (says what differs, and offers a new name), or to no run.
        """
        if not self.config.is_file():
            if self.path.is_dir() and any(not _ours(entry.name) for entry in self.path.iterdir()):
                raise UserError(
                    f"'{self.path}' is not a run: it contains files but no config.yaml. Choose another run.name or "
                    "run.root."
                )
            return
        changed = differences(load(str(self.config)), config)
        if changed:
            raise UserError(
                f"'{self.path}' was made by a different configuration:\n  "
                + "\n  ".join(changed)
                + f"\nGive this one a name of its own, such as run.name={free_name(self.path)}, or the old values."
            )

    def claim(self, config: Experiment) -> None:
        """Take the folder for a configuration: create it, unless it is there. UserError as `check`."""
        if not self.config.is_file():
            self.check(config)
            notice = Guarantee.of(config).notice
            if notice is not None:
                atomic_text(self.path / MARK, f"{notice} This is so of every file in this folder.\n")
            atomic_text(self.config, (f"# {notice}\n" if notice else "") + to_yaml(config))
        for folder in (self.internal, self.path / "stages"):  # other users of the machine may read neither
            folder.mkdir(mode=0o700, exist_ok=True)
        for leftover in self.path.glob("**/.*.tmp"):  # of a write that a crash interrupted
            leftover.unlink(missing_ok=True)
        self.check(config)  # also that what was written reads back the same

    def lock(self) -> Lock:
        """Lock the run for this process.

        Raises:
            UserError: if another process has it.
        """
        return Lock(self.path)


class Lock:
    """An advisory lock on a run. The system releases it when the process ends, regardless of how it ends.

    Args:
        path: the run's folder; created if it is missing.

    Raises:
        UserError: if another process holds the lock, or the folder cannot be created.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"'{path}' cannot be a run's folder: {error.strerror or error}. Choose another run.root."
            ) from error
        self.file = open(path / ".lock", "a+")  # noqa: SIM115 (held as long as the run)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.file.seek(0)
            owner = self.file.read().strip() or "unknown"
            self.file.close()
            raise UserError(
                f"'{path}' is in use by another process (process id {owner}). Wait for it, stop it, or choose another "
                "run.name."
            ) from error
        self.file.truncate(0)
        self.file.write(str(os.getpid()))
        self.file.flush()

    def release(self) -> None:
        """Release the lock."""
        self.file.close()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _ours(name: str) -> bool:
    """Whether a file of this name may be in a run's folder without a config.yaml: after a crash or refused images."""
    return name.startswith(".") or name in (MARK, "internal")


def free_name(path: Path) -> str:
    """The first unused `name-2`, `name-3`, … next to a run."""
    number = 2
    while path.with_name(f"{path.name}-{number}").exists():
        number += 1
    return f"{path.name}-{number}"


def find_run(run: str, root: str = "runs") -> RunDirectory:
    """The directory of a run.

    Args:
        run: path of the run, or its name.
        root: folder in which it is looked for by name.

    Raises:
        UserError: if there is no such run; it lists the runs that exist.
    """
    places = list(dict.fromkeys([Path(run), Path(root) / run]))
    for path in places:
        if (path / "config.yaml").is_file():
            return RunDirectory(path)
    names = sorted(path.parent.name for path in Path(root).glob("*/config.yaml"))
    known = f"Runs in '{root}': {', '.join(names)}." if names else f"There are no runs in '{root}' yet."
    looked = " and ".join(f"'{path / 'config.yaml'}'" for path in places)
    raise UserError(f"there is no run '{run}' (looked for {looked}). {known}")


def read_run(run: str, root: str = "runs") -> tuple[RunDirectory, Experiment]:
    """The directory of a run, with its guarantee, and the configuration that claimed it. Raises like `find_run`."""
    path = find_run(run, root).path
    config = load(str(path / "config.yaml"))
    return RunDirectory(path, Guarantee.of(config)), config
