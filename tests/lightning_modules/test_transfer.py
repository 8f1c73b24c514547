"""Weights for other categories."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_modules.transfer import transfer


class Net(nn.Module):
    """A layer, a table of positions, and a table of labels with `extra` rows for "no category"."""

    def __init__(self, classes: int, extra: int) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.labels = nn.Embedding(classes + extra, 4)
        self.register_buffer("count", torch.tensor(classes))


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("classes", [(7, 3), (3, 7), (2, 1), (1, 2)])
def test_all_weights_are_kept_and_new_categories_begin_alike(extra: int, classes: tuple[int, int]) -> None:
    old, new = Net(classes[0], extra), Net(classes[1], extra)
    transfer(old, new, classes=classes)
    assert torch.equal(new.layer.weight, old.layer.weight) and torch.equal(new.layer.bias, old.layer.bias)
    assert new.count == classes[0]
    start = old.labels.weight[-1] if extra else old.labels.weight.mean(dim=0)
    assert new.labels.weight.shape == (classes[1] + extra, 4)
    assert torch.allclose(new.labels.weight, start.expand_as(new.labels.weight))


def test_categories_of_the_same_number_but_other_names_keep_nothing_of_the_old_rows() -> None:
    old, new = Net(3, 1), Net(3, 1)
    transfer(old, new, classes=(3, 3))
    assert torch.allclose(new.labels.weight, old.labels.weight[-1].expand_as(new.labels.weight))


def test_other_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="a table"):
        transfer(Net(3, 0), Net(4, 1), classes=(3, 4))
    with pytest.raises(ValueError, match="different parameters"):
        transfer(nn.Linear(2, 2), Net(3, 0), classes=(2, 3))
    with pytest.raises(ValueError, match="'weight' is"):
        transfer(nn.Linear(2, 2), nn.Linear(3, 2), classes=(2, 3))
