"""A release as it was published: the folder by itself, on any machine, without the run that made it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.files import read_json
from configs.loading import typed
from configs.schema import Experiment, Image
from launch.run.directory import read_run
from launch.run.release import STATEMENT, read_statement, released_notice
from lightning_modules.registries import LEARNERS
from lightning_modules.weights import load_weights

NO_MODEL = (
    "This release has images only: its method has no model that is released (Private Evolution, for example, makes "
    "images without training one). The images there are in 'synthetic.npz'; for more of them, the owner of the run "
    "can start a new one with evolution.reuse and another synthesize.count."
)
UNFINISHED = (
    "Either the run is not finished (give its command again), or its method has no model. For more images of "
    "Private Evolution, start a new run with evolution.reuse and another synthesize.count."
)


@dataclass(frozen=True)
class Released:
    """Where the outputs of a finished run are."""

    folder: Path
    """The release, or a copy of it."""
    config: Experiment | None
    """Configuration of the run that it belongs to; None for a folder that was given by itself."""

    @property
    def statement(self) -> dict[str, Any]:
        """The privacy statement. UserError if the run is not finished, or the statement is damaged."""
        return read_statement(self.folder)

    @property
    def notice(self) -> str | None:
        """Why the outputs are not private, or None if they are. UserError like `statement`."""
        return released_notice(self.folder)


def find_release(given: str | Path, root: str = "runs") -> Released:
    """The release of a run, or a release that was copied without its run.

    Args:
        given: a release folder, or a run by its name or folder.
        root: folder in which a run is looked for by name.

    Raises:
        UserError: if it is neither.
    """
    path = Path(given)
    if is_release(path):
        return Released(path, None)
    if path.is_dir() and not (path / "config.yaml").is_file() and not (Path(root) / path / "config.yaml").is_file():
        raise UserError(
            f"'{path}' is neither a run (it has no config.yaml) nor a release (it has no {STATEMENT}). Give the folder "
            "of one of them; a release is copied as a whole."
        )
    directory, config = read_run(str(given), root)
    return Released(directory.outputs, config)


def is_release(path: Path) -> bool:
    """Whether a folder is a release by itself."""
    return (path / STATEMENT).is_file() and not (path / "config.yaml").is_file()


def load_model(folder: Path) -> tuple[Any, tuple[str, ...]]:
    """The model of a release, with its weights, and its category names. Needs the registries to be filled.

    Raises:
        UserError: if the run is not finished, its method releases no model, or a file is damaged.
    """
    path = folder / "model.json"
    if not path.is_file() and (folder / STATEMENT).is_file():
        raise UserError(f"there is no model in '{folder}'. {NO_MODEL}")
    description = read_json(path, UNFINISHED)
    try:
        name = description["generator"]["name"]
        generator = typed(LEARNERS.config(name), description["generator"], "generator.")
        image, names = Image(**description["image"]), tuple(map(str, description["class_names"]))
        model = LEARNERS.build(generator, image=image, classes=len(names))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"'{path}' does not describe a model that this version of PrivImage knows ({error!r}). Take another copy "
            "of the release, or the version that its privacy.json names under 'software'."
        ) from error
    load_weights(model.released, folder / "model.safetensors")
    return model, names
