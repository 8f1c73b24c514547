"""What may be published: synthetic images, model weights and the privacy statement."""

from __future__ import annotations

import dataclasses
import io
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from accounting.composition import is_exact
from accounting.ledger import Ledger
from accounting.statements import delta_text, epsilon_text, guarantee_text, noise_text, rate_text, sensitivity_text
from configs.errors import UserError
from configs.files import DAMAGED, atomic_json, atomic_text, atomic_write, file_digest, read_json
from configs.schema import Experiment
from datamodules.sets.image_set import ImageSet
from evaluation.figures import sample_grid
from launch.run.card import NPZ, card
from launch.run.directory import RunDirectory
from launch.run.file_times import settle
from launch.run.guarantee import Guarantee
from lightning_modules.weights import save_weights

STATEMENT = "privacy.json"  # has the digests of the other files
IMAGES = ("synthetic.npz", "samples.png", STATEMENT, "PRIVACY.md", "README.md")
MODEL = ("model.safetensors", "model.json")
UNFINISHED = "Finish the run first: give its command again. A copy of a release has to be a copy of all its files."
SECRET_KEY = (
    "The key of the run that was charged was drawn by the operating system, was known to nobody and has been destroyed."
)
NEIGHBOURS = "add or remove one record; a record is one image together with its label"
ASSUMPTIONS = (
    "The number of records n, the category names, the image size and the normalisation constants are public.",
    "The public images and the networks trained on them hold no sensitive record.",
    "Every sensitive record appears once. Whoever has several is protected as a group of so many records, not at ε.",
    "Noise is computed in floating point: float64 normals, rounded to the grid of the sums, counts or votes.",
    "It may be known that every sensitive file could be read: the run stops at one that cannot, or is told to skip it.",
    "It may be known that the sensitive set fitted in memory, has the usual form of its kind, and is no public file.",
    "Nothing from the folder internal/ is published: it holds numbers without noise.",
)


def write_release(
    directory: RunDirectory, config: Experiment, ledger: Ledger, images: ImageSet, model: Any | None = None
) -> dict[str, Any]:
    """Write all outputs of a run: to `release/`, or to the folder of a run that takes no noise.

    The privacy statement is written last and marks the outputs as complete. All files get one fixed time, and equal
    content gives equal bytes.

    Args:
        images: the synthetic images.
        model: the generator with the released weights, if the method releases one.

    Returns:
        The privacy statement, as `privacy_statement` makes it, with the method and the digests of the other files.
    """
    folder = directory.outputs
    statement = {**privacy_statement(directory.guarantee, ledger), "method": Path(config.method).stem}
    notice = statement.get("notice")
    if model is not None:
        write_model(folder, config, model, images.class_names, notice)
    write_images(folder / "synthetic.npz", images, notice)
    write_samples(folder / "samples.png", images, notice)
    atomic_text(folder / "PRIVACY.md", readable_statement(statement))
    atomic_text(folder / "README.md", card(images, statement, NPZ, model=model is not None))
    written = sorted({*IMAGES, *(MODEL if model is not None else ())} - {STATEMENT})
    statement["files"] = {name: file_digest(folder / name) for name in written}
    atomic_json(folder / STATEMENT, statement)
    settle(folder)
    return statement


def write_model(folder: Path, config: Experiment, model: Any, class_names: tuple[str, ...], notice: str | None) -> None:
    """Write a model's weights, and what is needed to build the model."""
    save_weights(model.released, folder / "model.safetensors", notice)
    atomic_json(
        folder / "model.json",
        {
            "generator": dataclasses.asdict(config.generator),
            "image": dataclasses.asdict(config.image),
            "class_names": list(class_names),
            **({"notice": notice} if notice else {}),
        },
    )


def write_images(path: Path, images: ImageSet, notice: str | None) -> None:
    """Write an .npz file: `images` uint8 [N, H, W, C], `labels` int64 [N], `class_names` and, if given, `notice`."""
    arrays: dict[str, Any] = {
        "images": np.ascontiguousarray(images.images.transpose(0, 2, 3, 1)),
        "labels": images.labels,
        "class_names": np.asarray(images.class_names),
    }
    if notice:
        arrays["notice"] = np.asarray(notice)
    atomic_write(path, lambda file: np.savez_compressed(file, **arrays))


def read_images(path: Path) -> ImageSet:
    """Read what `write_images` wrote.

    Raises:
        UserError: if the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return ImageSet(
                images=np.ascontiguousarray(data["images"].transpose(0, 3, 1, 2)),
                labels=data["labels"],
                class_names=tuple(map(str, data["class_names"])),
            )
    except DAMAGED as error:
        raise UserError(
            f"cannot read the synthetic images '{path}': the file is missing or damaged. Give the run's command "
            "again to rebuild it, without another charge."
        ) from error


def write_samples(path: Path, images: ImageSet, notice: str | None) -> None:
    """Write a grid of samples, one row per category, under the first words of the notice."""
    picture = sample_grid(images, per_class=10, title=notice.split(":")[0] if notice else None)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    atomic_write(path, lambda file: file.write(buffer.getvalue()))


def released_notice(folder: Path) -> str | None:
    """Why the outputs in this folder are not private, or None if they are. Raises like `read_statement`."""
    notice: str | None = read_statement(folder).get("notice")
    return notice


def read_statement(folder: Path, advice: str = UNFINISHED) -> dict[str, Any]:
    """The privacy statement of the outputs in this folder.

    Args:
        folder: with the outputs.
        advice: what to do if there is none, a sentence.

    Raises:
        UserError: if the statement is missing or damaged.
    """
    statement = read_json(folder / STATEMENT, advice)
    if not isinstance(statement, dict) or "private" not in statement:
        raise UserError(f"'{folder / STATEMENT}' is not a privacy statement. {advice}")
    return statement


def privacy_statement(guarantee: Guarantee, ledger: Ledger) -> dict[str, Any]:
    """The guarantee of a run, composed from its ledger, or the statement that it has no guarantee."""
    notice = guarantee.notice
    if guarantee.without_noise is not None:
        return {"private": False, "notice": notice, "records": ledger.terms["n"], **made_with(ledger)}
    mechanisms, private = ledger.mechanisms(), notice is None
    return {
        "epsilon": ledger.epsilon(),
        "delta": ledger.terms["delta"],
        "accountant": ledger.terms["accountant"],
        "private": private,
        **({"notice": notice} if notice else {}),
        "exact": is_exact(mechanisms),
        "epsilon_by_accountant": {name: ledger.epsilon(name) for name in ("rdp", "prv")},
        "groups": ledger.groups(),
        "neighbouring_relation": NEIGHBOURS,
        "records": ledger.terms["n"],
        "mechanisms": [mechanism.to_dict() for mechanism in mechanisms],
        "release_ids": ledger.release_ids(),
        "assumptions": [*ASSUMPTIONS, *([SECRET_KEY] if private and mechanisms else [])],
        **made_with(ledger),
    }


def composition(statement: dict[str, Any]) -> str:
    """How the ε of a statement was composed, in words."""
    if statement["exact"]:
        return "exact: every mechanism is a Gaussian on all records, and together they are one, under any accountant"
    each = statement["epsilon_by_accountant"].items()
    found = ", ".join(f"{name.upper()}: ε = {epsilon_text(value)}" for name, value in each)
    return f"{statement['accountant'].upper()} accountant. {found}"


def made_with(ledger: Ledger) -> dict[str, Any]:
    """The state of the ledger and the software."""
    return {"ledger_head": ledger.head, "software": software()}


def software() -> dict[str, str]:
    """Versions of what the guarantee and the results depend on."""
    return {name: version(name) for name in ("privimage", "torch", "opacus", "lightning", "numpy")}


def readable_statement(statement: dict[str, Any]) -> str:
    """The guarantee as a page of Markdown."""
    lines = ["# Privacy statement", ""]
    if "epsilon" not in statement:
        lines.append(f"**{statement['notice']}** There is no guarantee: publish nothing of this folder.\n")
        return "\n".join(lines)
    if "notice" in statement:
        lines += [f"**{statement['notice']}** The figures below would hold for a secret key.", ""]
    lines += [
        "What is in this folder (synthetic images, and a model's weights where there are any) is "
        f"**{guarantee_text(statement['epsilon'], statement['delta'])}** differentially private with respect to the "
        f"{statement['records']} sensitive records.",
        "",
        f"- Neighbouring relation: {statement['neighbouring_relation']}.",
        f"- Composition: {composition(statement)}.",
        f"- Ledger: `ledger.jsonl` of the run ends in {statement['ledger_head'][:16]}…",
        "",
        "| mechanism | kind | noise multiplier | L2 sensitivity | sampling rate | steps | release id |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row, name in zip(statement["mechanisms"], statement["release_ids"], strict=True):
        lines.append(
            f"| {row['name']} | {row['kind']} | {noise_text(row['noise_multiplier'])} "
            f"| {sensitivity_text(row['sensitivity'])} "
            f"| {rate_text(row.get('sampling_rate', 1.0))} | {row.get('steps', row.get('rounds', 1))} "
            f"| `{name[:16]}…` |"
        )
    lines += [
        "",
        "Releases that name the same release id were given one answer: it counts once for all of them.",
    ]
    lines += ["", *group_lines(statement)]
    lines += ["", "## What this rests on", ""] + [f"- {text}" for text in statement["assumptions"]]
    lines += ["", "## Software", ""] + [f"- {name} {number}" for name, number in statement["software"].items()]
    return "\n".join(lines) + "\n"


def group_lines(statement: dict[str, Any]) -> list[str]:
    """The guarantee of several records together, as lines of Markdown."""
    return [
        "## Groups",
        "",
        f"The guarantee above is for one record. At the same δ = {delta_text(statement['delta'])}, several records of "
        "one person, all there or none of them, are protected together at:",
        "",
        "| records of one person | ε |",
        "| --- | --- |",
        *(f"| {row['records']} | {epsilon_text(row['epsilon'])} |" for row in statement["groups"]),
    ]
