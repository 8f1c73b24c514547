"""The tape on which the layers leave per-record gradients during one backward pass. SENSITIVE."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_modules.dp_sgd.fused.gradients import RecordGradient, Whole


class Tape:
    """Collects the per-record gradients of one forward and backward pass over B records with K draws each."""

    def __init__(self, records: int, multiplicity: int, device: torch.device) -> None:
        self.records = records
        self.multiplicity = multiplicity
        self.anchor = torch.zeros((), device=device, requires_grad=True)  # makes every layer's output need a gradient
        self._uses: dict[int, int] = {}  # by id: a parameter's own hash is slow
        self._gradients: dict[int, RecordGradient] = {}

    def used(self, parameter: Tensor) -> None:
        """Note in the forward pass that a parameter was used once more."""
        self._uses[id(parameter)] = self._uses.get(id(parameter), 0) + 1

    def used_once(self, parameter: Tensor) -> bool:
        """Whether its gradient has one term: the norm of a sum of terms cannot be told from their norms."""
        return self._uses[id(parameter)] == 1

    def add(self, parameter: Tensor | None, gradient: RecordGradient) -> None:
        """Enter the gradient of one use of a parameter."""
        before = self._gradients.get(id(parameter))
        if before is not None:
            if not (isinstance(before, Whole) and isinstance(gradient, Whole)):
                raise RuntimeError("a parameter that is used more than once needs its gradients whole")
            gradient = before + gradient
        self._gradients[id(parameter)] = gradient

    def gradient(self, parameter: Tensor) -> RecordGradient | None:
        """The gradient of a parameter, None where the loss does not depend on it."""
        return self._gradients.get(id(parameter))

    def check_rows(self, layer: str, x: Tensor) -> None:
        """RuntimeError unless the leading dimension of a layer's input counts the draws of the records."""
        if x.dim() == 0 or x.shape[0] != self.records * self.multiplicity:
            raise RuntimeError(
                f"the input of '{layer}' has shape {tuple(x.shape)} for {self.records} records x {self.multiplicity} "
                "draws, so its per-record gradients are unknown"
            )
