"""A release: its images, its guarantee, and its model, from which more images can be sampled."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from configs.errors import UserError
from launch import components
from launch.run.release import read_images
from launch.run.released import find_release, load_model
from launch.stages.sampling import draw


@dataclass(frozen=True, eq=False)
class Release:
    """What was released. All of it is covered by the guarantee, unless `notice` says that there is none."""

    folder: Path
    """Where it is."""
    images: np.ndarray
    """The synthetic images, uint8 [N, H, W, C], C 1 or 3."""
    labels: np.ndarray
    """Their labels, int64 [N], indices into `class_names`."""
    class_names: tuple[str, ...]
    """Names of the categories."""
    statement: dict[str, Any]
    """The content of `privacy.json`."""

    @property
    def epsilon(self) -> float | None:
        """ε as the release states it; None if there is no guarantee. `privimage verify` composes it again."""
        return None if self.notice else self.statement.get("epsilon")

    @property
    def delta(self) -> float | None:
        """δ as the release states it; None if there is no guarantee."""
        return None if self.notice else self.statement.get("delta")

    @property
    def notice(self) -> str | None:
        """Why the release is not private, or None if it is."""
        return self.statement.get("notice")

    @cached_property
    def model(self) -> Any:
        """The released generator, on the GPU if there is one. UserError if the method releases none."""
        components.load()
        model, _ = load_model(self.folder)
        return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def sample(self, n: int, seed: int | None = None, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray]:
        """More images from the model: post-processing, at no privacy cost.

        Args:
            n: number of images, >= 1, spread evenly over the categories.
            seed: of the draw, in 0..2^63-1; a new one each time by default.
            batch_size: images sampled at once, >= 1; another one gives other images for the same seed.

        Returns:
            Images uint8 [n, H, W, C] and labels int64 [n].

        Raises:
            UserError: if the method releases no model, or a number is out of range.
        """
        if n < 1 or batch_size < 1:
            raise UserError(f"sample: got n = {n} and batch_size = {batch_size}; allowed is 1 or more.")
        if seed is not None and not 0 <= seed < 2**63:
            raise UserError(f"sample: got seed = {seed}; allowed is 0 … 2^63 - 1.")
        drawn = draw(
            self.model,
            n,
            self.class_names,
            seed=secrets.randbits(32) if seed is None else seed,
            batch_size=batch_size,
            precision="fp32",
            compiled=False,
            progress=lambda parts, count: parts,
        ).images
        return np.ascontiguousarray(drawn.images.transpose(0, 2, 3, 1)), drawn.labels


def load_release(path: str | Path, root: str = "runs") -> Release:
    """A release, or the outputs of a run that has no guarantee, marked as such.

    Args:
        path: a release folder, for example a copy of one without its run; or a run, by its folder or name.
        root: folder in which a run is looked for by name.

    Raises:
        UserError: if there is none, or a file is damaged.
    """
    components.load()
    found = find_release(path, root)
    statement = found.statement
    images = read_images(found.folder / "synthetic.npz")
    return Release(
        folder=found.folder,
        images=np.ascontiguousarray(images.images.transpose(0, 2, 3, 1)),
        labels=images.labels,
        class_names=images.class_names,
        statement=statement,
    )
