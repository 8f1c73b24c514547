"""From a folder to a configuration: look at names, choose, measure, choose again."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting.statements import target_text
from configs.components.sources import ImageNetConfig
from configs.errors import UserError
from configs.loading import load
from configs.schema import Image
from datamodules.reading.layouts import Layout, recognise
from datamodules.sources import SOURCES
from launch.proposal.choices import Choice, choices, usual_pace
from launch.proposal.draft import Draft
from launch.proposal.facts import GLYPH_CATEGORIES, Facts
from launch.proposal.looking import Shape, shape_of
from launch.proposal.measured_pace import measured_pace

GLYPHS = "glyphs"
LISTED = 12  # names of categories in the file's remarks
KINDS = ("folder", "table", "npz")


@dataclass(frozen=True)
class Request:
    """What the owner of a data set asks for."""

    folder: Path
    """The sensitive images: a folder, or an .npz file."""
    public: str
    """`glyphs`, a folder, or a store."""
    epsilon: float
    """The budget."""
    minutes: float
    """What a run may take."""
    resolution: int | None
    """Height and width in pixels; None if it is to be proposed."""
    channels: int | None
    """1 or 3; None if it is to be proposed."""
    look: bool
    """Whether the header of one image may be read."""
    gpu: bool
    """Whether the run will have a GPU."""
    measure: bool
    """Whether to measure this machine."""


@dataclass(frozen=True)
class Proposal:
    """A configuration and what it was made from."""

    found: Layout
    """The sensitive set."""
    draft: Draft
    """The parts of the file that were not chosen."""
    chosen: Sequence[Choice]
    """The settings."""

    @property
    def text(self) -> str:
        """The file."""
        return self.draft.text(self.chosen)


def propose(request: Request) -> Proposal:
    """A configuration for a set of images.

    Raises:
        UserError: if the layout is not known, the public images cannot be used, or preflight refuses the result.

    Sensitive: reads the names of files, the table of labels if there is one, and with `look` one header. The choices
    depend on n, the number of categories and the shape alone.
    """
    found = recognise(request.folder)
    shape = shape_of(
        found, request.folder, request.public, request.resolution, request.channels, look=request.look, gpu=request.gpu
    )
    public, public_categories = public_of(request.public, shape)
    facts = Facts(
        records=training_records(found),
        categories=len(found.class_names),
        resolution=shape.resolution,
        channels=shape.channels,
        epsilon=request.epsilon,
        minutes=request.minutes,
        public_categories=public_categories,
        gpu=request.gpu,
    )
    draft = Draft(
        run_name(request.folder),
        [*remarks(found, shape, facts), *hints(request, found)],
        {"resolution": shape.resolution, "channels": shape.channels},
        {"name": found.source, **found.keys},
        public,
    )
    chosen = choices(facts, usual_pace(facts))
    if request.measure:
        chosen = choices(facts, measured_pace(loaded(draft.text(chosen), draft.name)))
    else:
        loaded(draft.text(chosen), draft.name)  # a mistake of ours would otherwise be found by the owner
    return Proposal(found, draft, chosen)


def run_name(path: Path) -> str:
    """A name for the run and its file, from that of the folder."""
    return re.sub(r"[^\w.-]+", "-", path.resolve().stem).strip("-.") or "mine"


def training_records(found: Layout) -> int:
    """n. Where a share is kept for testing, this is what remains by expectation; the source counts exactly."""
    return max(2, found.records if found.tests is not None else round(0.9 * found.records))


def public_of(given: str, shape: Shape) -> tuple[dict[str, Any], int]:
    """The keys of the public source, and how many categories it has. UserError if it cannot be used."""
    if given == GLYPHS:
        return {"name": GLYPHS}, GLYPH_CATEGORIES
    if Path(given).suffix == ".beton":
        store = SOURCES.build(ImageNetConfig(store=given), Image(shape.resolution, shape.channels))
        return {"name": "imagenet", "store": given}, len(store.class_names)
    found = recognise(Path(given))
    if found.source not in KINDS:
        raise UserError(f"--public: '{given}' is no folder with a sub-folder per category, table or .npz file.")
    return {"name": found.source, **found.keys}, len(found.class_names)


def remarks(found: Layout, shape: Shape, facts: Facts) -> list[str]:
    """What was found, a sentence each."""
    names = found.class_names
    listed = ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
    tests = "a tenth of them kept for testing" if found.tests is None else f"{found.tests} for testing"
    return [
        f"{found.records} images for training ({tests}) in {len(names)} categories: {listed}",
        *found.notes,
        shape.why,
        f"Chosen for ε = {target_text(facts.epsilon)} and {facts.minutes:g} minutes. n, the names of the categories "
        "and all settings are public.",
    ]


def hints(request: Request, found: Layout) -> list[str]:
    """What the owner may want to change."""
    if request.public != GLYPHS:
        return []
    return [
        "Public images are rendered characters. Photographs that are near to yours (--public FOLDER) teach far more.",
    ]


def loaded(text: str, name: str) -> Any:
    """A draft, read as any configuration is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return load(str(path), ["tracking=[]"])
