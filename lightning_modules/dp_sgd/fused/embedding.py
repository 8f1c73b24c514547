"""Per-record gradients of embeddings.

Sensitive: inputs, gradients and all results.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.dp_sgd.engine import at_least_float32
from lightning_modules.dp_sgd.fused.gradients import (
    Factored,
    Whole,
    ghost_squares,
    to_one,
    worth_factoring,
)
from lightning_modules.dp_sgd.fused.tape import Tape
from lightning_modules.precision import exact_float32


class EmbeddingRule:
    """Embeddings of integer inputs of any shape."""

    def accepts(self, layer: nn.Embedding) -> bool:
        return layer.max_norm is None and not layer.scale_grad_by_freq and not layer.sparse

    def prepare(self, layer: nn.Embedding, x: Tensor) -> Tensor:
        return x

    def forward(self, layer: nn.Embedding, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        return F.embedding(x, layer.weight.detach(), layer.padding_idx), ()

    def backward(
        self, layer: nn.Embedding, tape: Tape, gradient: Tensor, x: Tensor, saved: tuple[Tensor, ...], needs_input: bool
    ) -> Tensor | None:
        width = layer.embedding_dim
        indices, outputs = x.reshape(tape.records, -1), gradient.reshape(tape.records, -1, width)
        if layer.padding_idx is not None:
            outputs = outputs.masked_fill((indices == layer.padding_idx)[:, :, None], 0.0)
        factoring = worth_factoring(indices.shape[1], width, layer.num_embeddings, layer.weight.numel())
        if factoring and tape.used_once(layer.weight):
            tape.add(layer.weight, embedding_factored(indices, outputs, layer.num_embeddings))
        else:
            table = outputs.new_zeros(tape.records * layer.num_embeddings, width)
            offsets = torch.arange(tape.records, device=x.device)[:, None] * layer.num_embeddings
            table.index_add_(0, (indices + offsets).reshape(-1), outputs.reshape(-1, width))
            tape.add(layer.weight, Whole.of(table.reshape(tape.records, layer.num_embeddings, width)))
        return None


def embedding_factored(indices: Tensor, outputs: Tensor, entries: int) -> Factored:
    """The gradient of a large table, not held.

    Args:
        indices: int [B, L].
        outputs: output gradients [B, L, D].
        entries: rows of the table.
    """
    outputs = outputs.to(at_least_float32(outputs.dtype))
    same = (indices[:, :, None] == indices[:, None, :]).to(outputs)  # inner products of the one-hot inputs
    with exact_float32():
        g, scale = to_one(outputs)
        squares = ghost_squares(g @ g.transpose(1, 2), same) * scale.square()

    def contract(scaled: Tensor, usable: Tensor | None) -> Tensor:
        table = scaled.new_zeros(entries, scaled.shape[-1])
        return table.index_add_(0, indices.reshape(-1), scaled.flatten(0, -2))

    return Factored(squares, outputs, contract)
