"""Stages that saw no sensitive image, passed from run to run in a folder (`run.share`)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
import warnings
from pathlib import Path
from typing import Any

from configs.files import atomic_json
from launch.run.context import Context
from launch.run.stage import Stage

RECORD = "shared.json"
LEFT_OUT = shutil.ignore_patterns("checkpoints-*", "done.json", ".*")


def fetch(stage: Stage, context: Context, fingerprint: str) -> str | None:
    """Take over a stage that another run has offered under the same fingerprint.

    The record states the ledger head of this run: nothing was charged for the stage that is taken over.

    Returns:
        The stage's console line, or None if no run has offered it.
    """
    folder = shared(stage, context, fingerprint)
    if folder is None or not (folder / RECORD).is_file():
        return None
    try:
        record = json.loads((folder / RECORD).read_text())
        line, cost = f"{record['line']} (shared)", dict(record["cost"])
        if record["digest"] != digest(folder):
            raise ValueError("the files differ from those that were offered")
        for source, place in places(stage, context, folder):
            if source.is_dir():
                shutil.rmtree(place, ignore_errors=True)
                shutil.copytree(source, place, copy_function=link)
    except (OSError, ValueError, KeyError, TypeError):  # damaged, or gone just now: the stage is done here
        return None
    atomic_json(context.directory.internal / "costs" / f"{stage.role}.json", cost)
    context.directory.mark(stage.role, {"fingerprint": fingerprint, "line": line, "ledger_head": context.ledger.head})
    return line


def offer(stage: Stage, context: Context, fingerprint: str) -> None:
    """Put a finished stage where other runs find it: either completely or not at all."""
    folder = shared(stage, context, fingerprint)
    if folder is None or folder.exists():
        return
    new = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        new.mkdir(parents=True, mode=0o700)
        for target, place in places(stage, context, new):
            if place.is_dir():
                shutil.copytree(place, target, copy_function=link, ignore=LEFT_OUT)
        marker: dict[str, Any] = context.directory.marker(stage.role) or {}
        cost = context.directory.cost(stage.role)
        atomic_json(new / RECORD, {"line": marker["line"], "cost": cost, "digest": digest(new)})
        new.rename(folder)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        if not folder.exists():  # another run may have been first
            warnings.warn(f"run.share: the stage '{stage.role}' is not shared: {error}", stacklevel=2)


def shared(stage: Stage, context: Context, fingerprint: str) -> Path | None:
    """The shared folder of a stage; None if it has seen sensitive images, makes a release, or nothing is shared."""
    inside = all(made.startswith(f"stages/{stage.role}/") for made in stage.makes)
    if context.config.run.share is None or stage.role not in context.public_roles or not inside:
        return None
    return Path(context.config.run.share) / f"{stage.role}-{fingerprint[:16]}"


def places(stage: Stage, context: Context, folder: Path) -> list[tuple[Path, Path]]:
    """What is shared of a stage, its files and its curves, each as (folder in the share, folder in this run)."""
    return [(folder / "stage", context.folder(stage.role)), (folder / "metrics", context.metrics_folder(stage.role))]


def digest(folder: Path) -> str:
    """SHA-256 of the files of a shared stage, by name and content, in hexadecimal digits."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RECORD):
        with open(path, "rb") as file:
            found.update(f"{path.relative_to(folder)}\n{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return found.hexdigest()


def link(source: str, target: str) -> str:
    """Give a file a second name, or copy it if the file system has no links. Curves are copied, since they grow.

    All other files of a run are only ever replaced, never changed, so both names keep the same content.
    """
    try:
        if source.endswith(".jsonl"):
            return str(shutil.copy2(source, target))
        os.link(source, target)
        return target
    except OSError:
        return str(shutil.copy2(source, target))
