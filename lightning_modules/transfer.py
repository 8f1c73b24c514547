"""Weights of a network that was trained on some categories, for one of other categories."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def transfer(source: nn.Module, target: nn.Module, *, classes: tuple[int, int]) -> None:
    """Copy the weights of `source` into `target`, the same network for another number of categories. Touches no data.

    classes: categories of the source and of the target. Only the label embeddings differ. Where they have a row for no
    category (classifier-free guidance: the last of one more than there are categories), that row is what the network
    knows of images of any kind, so each new category begins as it; elsewhere each begins as the mean of the old ones.
    All begin alike: nothing is assumed of which old category is like which new one. Raises ValueError where the
    networks differ in more than that.
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
    """Rows for new categories from a table [m or m + 1, E] of the old ones."""
    without = table.shape[0] - classes[0]
    if without not in (0, 1) or shape[0] - classes[1] != without or table.shape[1:] != shape[1:]:
        raise ValueError(
            f"a table {tuple(table.shape)} for {classes[0]} categories and {tuple(shape)} for {classes[1]}"
        )
    row = table[-1:] if without else table.mean(dim=0, keepdim=True)
    return row.expand(shape)
