"""pytorch-fid's Inception network: its weights, its features and its class probabilities."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from pytorch_fid.inception import FID_WEIGHTS_URL, InceptionV3
from scipy.special import softmax
from torch import nn

from configs.errors import UserError
from datamodules.sets.image_set import ImageSet

DIMENSIONS = 2048  # of a feature vector
FILE_NAME = FID_WEIGHTS_URL.rpartition("/")[2]
HASH_PREFIX = Path(FILE_NAME).stem.rpartition("-")[2]  # torch.hub's convention: the name ends with part of the SHA-256


def find_weights(weights: str | None, download: bool) -> tuple[Path | None, str]:
    """The file of pytorch-fid's weights, or None and the reason why it is not available.

    Args:
        weights: path of the file, if given (`evaluate.inception_weights`).
        download: whether the file may be downloaded if no path is given (`evaluate.download`).

    Raises:
        UserError: if the given file is missing or is another file.
    """
    try:
        path = checked_weights(weights) if weights else _downloaded_weights(download)
    except (URLError, OSError, RuntimeError) as error:
        return None, f"the Inception weights could not be downloaded: {error}"
    reason = "no Inception weights: give their file as evaluate.inception_weights, or set evaluate.download=true"
    return path, "" if path else reason


def checked_weights(path: str | Path) -> Path:
    """The path of Inception weights, after a check of the file's hash.

    Raises:
        UserError: if the file is missing or is not pytorch-fid's.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"evaluate.inception_weights: no file at '{path}'. Give pytorch-fid's {FILE_NAME}, or leave the key out to "
            "report neither FID nor Inception Score."
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(HASH_PREFIX):
        raise UserError(
            f"evaluate.inception_weights: '{path}' has SHA-256 {digest[:8]}..., but pytorch-fid's weights start with "
            f"{HASH_PREFIX}. Distances with other weights are not FID. Give the file {FILE_NAME}."
        )
    return path


def load_inception(path: Path) -> nn.Module:
    """pytorch-fid's network with the weights at `path`, on the CPU, in evaluation mode.

    pytorch-fid takes no path: it loads its weights by name from torch.hub's cache. So the cache is set to a temporary
    folder that contains the file under that name.
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
    """Features of the last pooling layer for all images of a set.

    Args:
        network: from `load_inception`, on `device`.
        images: uint8, of one or three channels; grey images are repeated to three channels.
        batch_size: images computed at once, >= 1.

    Returns:
        float64 [N, 2048].

    Sensitive: the features are as sensitive as the images.
    """
    blocks = [np.empty((0, DIMENSIONS), np.float32)]
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.array(images.images[start : start + batch_size])).to(device)
        blocks.append(inception_layer(network, batch).cpu().numpy())
    return np.concatenate(blocks).astype(np.float64)


def inception_layer(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Features of the last pooling layer, float32 [B, 2048], for images uint8 [B, 1 or 3, H, W]."""
    batch = images.expand(-1, 3, -1, -1).float() / 255  # the network resizes to 299 x 299 itself
    return network(batch)[0].flatten(1)


def load_class_weights(path: Path) -> np.ndarray:
    """The weights of the network's last layer, which pytorch-fid leaves out: float64 [1008, 2048]."""
    return torch.load(path, weights_only=True, map_location="cpu")["fc.weight"].numpy().astype(np.float64)


def class_probabilities(features: np.ndarray, class_weights: np.ndarray) -> np.ndarray:
    """Inception's class probabilities of images.

    The last layer's bias is left out, as in the code of Salimans et al. (2016): published Inception Scores do not use
    it.

    Args:
        features: of the last pooling layer, [N, 2048].
        class_weights: from `load_class_weights`, [classes, 2048].

    Returns:
        [N, classes], rows that sum to 1.
    """
    return softmax(features @ class_weights.T, axis=1)


def _downloaded_weights(download: bool) -> Path | None:
    """The weights in torch.hub's own cache, downloaded once; None if that is not allowed."""
    if not download:
        return None
    path = Path(torch.hub.get_dir()) / "checkpoints" / FILE_NAME
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(FID_WEIGHTS_URL, str(path), hash_prefix=HASH_PREFIX, progress=False)
    return checked_weights(path)


@contextmanager
def _hub_folder(folder: str) -> Iterator[None]:
    """Let torch.hub use another folder within a `with` block."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(folder)
    try:
        yield
    finally:
        torch.hub.set_dir(before)
