"""Checkpoints that are durable once written and refused if they are damaged."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from configs.files import atomic_write

DIGEST = hashlib.sha256().digest_size


class CorruptCheckpoint(Exception):
    """A checkpoint file is not what was written: cut short, or changed."""


class DurableCheckpointIO(CheckpointIO):
    """Writes a checkpoint completely or not at all, durably, and followed by its SHA-256, which is checked on loading.

    The digest is needed because `torch.load` does not check the zip file's own checksums: a flipped bit in the weights
    would go unnoticed.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint. When this returns, it is on the disk.

        Raises:
            UserError: if the disk is full. Earlier checkpoints stay as they were.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        payload = buffer.getbuffer()

        def write(file: Any) -> None:
            file.write(payload)
            file.write(hashlib.sha256(payload).digest())

        atomic_write(Path(path), write)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint of tensors and plain values onto the CPU.

        Raises:
            CorruptCheckpoint: if the file is damaged.
        """
        content = Path(path).read_bytes()
        payload, digest = memoryview(content)[:-DIGEST], content[-DIGEST:]
        if hashlib.sha256(payload).digest() != digest:
            raise CorruptCheckpoint(f"the checkpoint '{path}' is damaged or cut short")
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint if it is there."""
        Path(path).unlink(missing_ok=True)
