"""DP-SGD with the fused engine on a module of your own: a plain loop, without Lightning.

    python docs/examples/fused_engine_on_your_module.py

It trains a small classifier on the handwritten digits inside scikit-learn. The ledger is charged first, and every
random number that could reveal something about a record comes from the access that it grants.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from accounting.plan import DP_SGD, BudgetPlan, default_delta, plan_budget
from accounting.run_key import RunKey
from accounting.statements import delta_text, epsilon_text
from lightning_modules.dp_sgd.engine import trained_parameters
from lightning_modules.dp_sgd.fused.engine import FusedEngine
from lightning_modules.dp_sgd.grid import check_noise, from_grid, grid_unit, to_grid
from lightning_modules.dp_sgd.random_generators import keyed_generator
from lightning_modules.dp_sgd.validation import check_records_apart

TRAINING, CLASSES = 1437, 10  # records, of 1797; categories
EPSILON, STEPS, BATCH, CLIP_NORM = 5.0, 40, 300, 1.0
MICRO_BATCH = 20  # records whose gradients are held at once; times the batch at most 7900, see grid.MARGIN
CPU = torch.device("cpu")


class Digits:
    """What the engine needs to know of a model: a network of yours and the loss of each record."""

    multiplicity = 1  # losses a record; their gradients are averaged before they are clipped
    betas = (0.9, 0.999)  # of Adam
    alternating = None  # nothing else learns from the trained network

    def __init__(self) -> None:
        self.network = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.GroupNorm(4, 16),  # BatchNorm would mix records, and is refused
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * 4 * 4, CLASSES),
        )

    @property
    def trainable(self) -> nn.Module:
        """The network that images train."""
        return self.network

    @property
    def released(self) -> nn.Module:
        """The network that is kept in the end."""
        return self.network

    def record_losses(
        self, images: Tensor, labels: Tensor, generator: torch.Generator, multiplicity: int | None = None
    ) -> Tensor:
        """One loss a record [B], of images uint8 [B, 1, 8, 8]; random numbers, if any, come from `generator`."""
        return F.cross_entropy(self.network(images.float() / 127.5 - 1), labels, reduction="none")


def digits() -> tuple[Tensor, Tensor]:
    """Images uint8 [1797, 1, 8, 8] and labels int64 [1797]."""
    data = load_digits()
    return torch.tensor(data.images * (255 / 16)).round().to(torch.uint8)[:, None], torch.tensor(data.target)


def noisy_mean(engine: FusedEngine, access: PrivateAccess, step: int, images: Tensor, labels: Tensor) -> Tensor:
    """The noised mean gradient [P] of one step; `access` decides the batch and the noise."""
    batch = access.sample(step, len(images))  # Poisson: as many records as it happens to be, even none
    generator = keyed_generator(lambda count: access.loss_bytes(step, count), CPU)
    parts = zip(images[batch].split(MICRO_BATCH), labels[batch].split(MICRO_BATCH), strict=True)
    total = torch.stack([engine.clipped_sum(*part, generator)[0].double() for part in parts]).sum(dim=0)
    unit = grid_unit(CLIP_NORM, len(total))
    units = to_grid(total, unit)  # whole numbers: in floating point, low bits would reveal the sum
    units += torch.from_numpy(access.whole_noise(step, len(total), unit))
    return from_grid(units, unit) / BATCH  # the expected batch, never the actual one


def train(model: Digits, engine: FusedEngine, access: PrivateAccess, images: Tensor, labels: Tensor) -> None:
    """DP-SGD (Abadi et al. 2016, Algorithm 1) with Adam: as many steps as were charged."""
    parameters = trained_parameters(model)
    optimizer = torch.optim.Adam(parameters, lr=0.02, betas=model.betas)
    for step in range(access.mechanism.steps):
        gradient = noisy_mean(engine, access, step, images, labels)
        for parameter, piece in zip(parameters, gradient.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = piece.view_as(parameter).to(parameter)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def charged(plan: BudgetPlan, folder: Path) -> tuple[Ledger, PrivateAccess]:
    """The ledger in `folder`, charged with all steps, and the access that it grants."""
    key = RunKey.create_or_load(folder / "key")
    ledger = Ledger.open(
        folder / "ledger.jsonl", epsilon=plan.epsilon, delta=plan.delta, n=plan.n, accountant=plan.accountant
    )
    return ledger, ledger.reserve(plan.mechanism(DP_SGD), stage="training", fingerprint="digits", run_key=key)


def main() -> None:
    """Plan, check, charge, train, report."""
    torch.manual_seed(0)  # of the first weights alone
    model = Digits()
    engine = FusedEngine(model, CLIP_NORM)
    plan = plan_budget(
        n=TRAINING,
        epsilon=EPSILON,
        delta=default_delta(TRAINING),
        accountant="prv",
        query=None,
        steps=STEPS,
        expected_batch=BATCH,
        clip_norm=CLIP_NORM,
    )
    # Whatever can be wrong is found out before the charge.
    check_records_apart(model, engine, shape=(1, 8, 8), classes=CLASSES, device=CPU)
    check_noise(plan.mechanism(DP_SGD), sum(p.numel() for p in trained_parameters(model)))
    with tempfile.TemporaryDirectory() as name:  # use a folder that you keep: the ledger is the record
        folder = Path(name)
        ledger, access = charged(plan, folder)
        images, labels = digits()
        train(model, engine, access, images[:TRAINING], labels[:TRAINING])
        RunKey.destroy(folder / "key")  # whoever has it can subtract the noise
        spent, delta = ledger.epsilon(), plan.delta
    print(f"spent: epsilon {epsilon_text(spent)} at delta {delta_text(delta)}, {STEPS} steps")
    with torch.no_grad():
        predicted = model.network(images[TRAINING:].float() / 127.5 - 1).argmax(dim=1)
    correct = (predicted == labels[TRAINING:]).float().mean().item()
    print(f"test accuracy, which the guarantee does not cover: {correct:.1%}")


if __name__ == "__main__":
    main()
