"""Weights of a network that was trained on some categories, for one with other categories."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def transfer(source: nn.Module, target: nn.Module, *, classes: tuple[int, int]) -> None:
    """Copy the weights of `source` into `target`, the same network for another number of categories. Touches no data.

    Only the label embeddings may differ. If they have a row for no category (classifier-free guidance: the last row of
    one more than there are categories), that row is what the network knows about images of any kind, so each new
    category starts from it. Otherwise each new category starts from the mean of the old ones. All start from equal
    rows: no old category is assumed to be similar to a new one.

    Args:
        source: the trained network.
        target: the network to fill.
        classes: numbers of categories of the source and of the target.

    Raises:
        ValueError: if the networks differ in more than the label embeddings.
    """
    tables = {name for name, layer in target.named_modules() if isinstance(layer, nn.Embedding)}
    old, new = source.state_dict(), target.state_dict()
    if old.keys() != new.keys():
        raise ValueError("the networks have different parameters")
    for name, value in new.items():
        given = old[name]
        if name.rpartition(".")[0] in tables:
            value.copy_(new_rows(given, value.shape, classes))
        elif given.shape == value.shape:
            value.copy_(given)
        else:
            raise ValueError(f"'{name}' is {tuple(given.shape)} in one network and {tuple(value.shape)} in the other")


def new_rows(table: Tensor, shape: torch.Size, classes: tuple[int, int]) -> Tensor:
    """Rows for new categories, from a table [m or m + 1, E] of the old ones."""
    without = table.shape[0] - classes[0]
    if without not in (0, 1) or shape[0] - classes[1] != without or table.shape[1:] != shape[1:]:
        raise ValueError(
            f"a table {tuple(table.shape)} for {classes[0]} categories and {tuple(shape)} for {classes[1]}"
        )
    row = table[-1:] if without else table.mean(dim=0, keepdim=True)
    return row.expand(shape)
