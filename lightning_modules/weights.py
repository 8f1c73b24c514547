"""Weights of a network on disk, as safetensors."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor, nn

from configs.errors import UserError
from configs.files import atomic_write


def save_weights(network: nn.Module, path: Path, notice: str | None = None) -> None:
    """Write a network's weights as safetensors, durably and as a whole; `notice` goes into the file's metadata."""
    weights: dict[str, Tensor] = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    data = save(weights, metadata={"notice": notice} if notice else None)
    atomic_write(path, lambda file: file.write(data))


def load_weights(network: nn.Module, path: Path) -> None:
    """Read weights that `save_weights` wrote. Raises UserError for a missing or damaged file."""
    if not path.is_file():
        raise UserError(f"there are no weights at '{path}'. Give the run's command again to rebuild them.")
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:  # safetensors raises its own errors, torch a RuntimeError, the system an OSError
        raise UserError(
            f"cannot read the weights '{path}': {error}. Remove this file alone and give the command again."
        ) from error
