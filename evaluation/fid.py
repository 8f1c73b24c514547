"""FID with pytorch-fid's Inception network, as published numbers are computed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from pytorch_fid.inception import FID_WEIGHTS_URL, InceptionV3
from torch import nn

from configs.errors import UserError
from datamodules.image_set import ImageSet

DIMENSIONS = 2048  # of a feature vector
FILE_NAME = FID_WEIGHTS_URL.rpartition("/")[2]
HASH_PREFIX = Path(FILE_NAME).stem.rpartition("-")[2]  # torch.hub's convention: the file is named after its SHA-256

Extract = Callable[[ImageSet], np.ndarray]


class FID(NamedTuple):
    """value: the distance, or None; reason: why there is none, '' where there is one."""

    value: float | None
    reason: str


def fid(
    sets: Sequence[ImageSet],
    real: ImageSet,
    weights: Path,
    *,
    device: torch.device | str = "cpu",
    pooled: Callable[[Extract, ImageSet], np.ndarray] = lambda extract, images: extract(images),
) -> list[FID]:
    """Fréchet Inception Distance of each set to the real images; not private where `real` is sensitive.

    weights: as `find_weights` found them. pooled: applies the network to all images of a set, on several processes
    perhaps. Returns the reason in place of a value where the distance has no real value.
    """
    network = load_inception(weights).to(device)

    def statistics(images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
        features = pooled(lambda part: inception_features(network, part, device), images)
        return features.mean(axis=0), np.cov(features, rowvar=False)

    reference = statistics(real)
    return [distance(*statistics(images), *reference) for images in sets]


def distance(mean: np.ndarray, covariance: np.ndarray, real_mean: np.ndarray, real_covariance: np.ndarray) -> FID:
    """pytorch-fid's distance of two normal distributions, or the reason why there is none."""
    try:
        return FID(float(calculate_frechet_distance(mean, covariance, real_mean, real_covariance)), "")
    except ValueError as error:  # pytorch-fid refuses a matrix root that is far from real: too few images
        return FID(None, f"too few images for pytorch-fid's matrix root ({error})")


def find_weights(weights: str | None, download: bool) -> tuple[Path | None, str]:
    """The file of pytorch-fid's weights, or None and the reason why there is none.

    weights: its path (`evaluate.inception_weights`); download: whether it may be fetched where no path is given
    (`evaluate.download`). Raises UserError where a given file is missing or is not that file.
    """
    try:
        path = checked_weights(weights) if weights else _downloaded_weights(download)
    except (URLError, OSError, RuntimeError) as error:
        return None, f"the Inception weights could not be downloaded: {error}"
    reason = "no Inception weights: give their file as evaluate.inception_weights, or set evaluate.download=true"
    return path, "" if path else reason


def checked_weights(path: str | Path) -> Path:
    """The path of Inception weights, once its hash is verified. Raises UserError where it is not pytorch-fid's file."""
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"evaluate.inception_weights: no file at '{path}'. Give pytorch-fid's {FILE_NAME}, or leave the key out to "
            "report no FID."
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(HASH_PREFIX):
        raise UserError(
            f"evaluate.inception_weights: '{path}' has SHA-256 {digest[:8]}..., but pytorch-fid's weights start with "
            f"{HASH_PREFIX}. Distances with other weights are not FID; give the file {FILE_NAME}."
        )
    return path


def load_inception(path: Path) -> nn.Module:
    """pytorch-fid's network with the weights at `path`, on the CPU, in evaluation mode.

    pytorch-fid takes no path: it loads its weights by name through torch.hub's cache, which is therefore pointed at a
    temporary folder that holds the file under that name.
    """
    with tempfile.TemporaryDirectory() as folder, _hub_folder(folder):
        checkpoints = Path(folder) / "checkpoints"
        checkpoints.mkdir()
        os.symlink(path.resolve(), checkpoints / FILE_NAME)
        return InceptionV3().eval()


@torch.inference_mode()
def inception_features(
    network: nn.Module, images: ImageSet, device: torch.device | str = "cpu", batch_size: int = 50
) -> np.ndarray:
    """Features of the last pooling layer, float64 [N, 2048]; gray images are repeated to three channels."""
    blocks = [np.empty((0, DIMENSIONS), np.float32)]
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.array(images.images[start : start + batch_size])).to(device)
        batch = batch.expand(-1, 3, -1, -1).float() / 255  # the network resizes to 299 x 299 itself
        blocks.append(network(batch)[0].flatten(1).cpu().numpy())
    return np.concatenate(blocks).astype(np.float64)


def _downloaded_weights(download: bool) -> Path | None:
    """The weights in torch.hub's own cache, fetched there once; None where that is not allowed."""
    if not download:
        return None
    path = Path(torch.hub.get_dir()) / "checkpoints" / FILE_NAME
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(FID_WEIGHTS_URL, str(path), hash_prefix=HASH_PREFIX, progress=False)
    return checked_weights(path)


@contextmanager
def _hub_folder(folder: str) -> Iterator[None]:
    """Let torch.hub use another folder for a while."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(folder)
    try:
        yield
    finally:
        torch.hub.set_dir(before)
