"""What a GAN's generating network learns from sensitive images: only what comes through the noised discriminator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor

from accounting.access import PrivateAccess
from lightning_modules.alternating import adams, alternating_gradient
from lightning_modules.dp_sgd.engine import PrivateStatistics
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.dp_sgd.private_training import PrivateTraining
from lightning_modules.dp_sgd.random_generators import keyed_generator
from lightning_modules.gan import GAN
from tests.lightning_modules.dp_sgd.private import N, PoissonRecords, private_training, reserved
from tests.lightning_modules.dp_sgd.toy import CLASSES, records
from tests.lightning_modules.test_gan import gan

STEPS = 6


class Watched(PrivateTraining):
    """Keeps the discriminator's and the generating network's state after every step."""

    def on_fit_start(self) -> None:
        self.discriminators: list[dict[str, Tensor]] = []
        self.networks: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.discriminators.append(state(self.model.discriminator))
        self.networks.append(state(self.model.network))


class Withheld(OpacusEngine):
    """Works on the records as usual but returns zero for them: only the noise changes the discriminator."""

    def clipped_sum(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, PrivateStatistics]:
        total, statistics = super().clipped_sum(images, labels, generator)
        return torch.zeros_like(total), statistics


def state(network: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of a network's weights and buffers."""
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two states agree to the last bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def trained(model: GAN, access: PrivateAccess, sensitive: tuple[Tensor, Tensor], *, withheld: bool = False) -> Watched:
    """Private training of a GAN on some records."""
    engine = (Withheld if withheld else OpacusEngine)(model, access.mechanism.sensitivity)
    module = Watched(
        model, engine, access, expected_batch=5.0, micro_batch=3, learning_rate=0.01, ema_decay=0.8
    )  # fmt: skip
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, PoissonRecords(*sensitive, access))
    return module


def other_records() -> tuple[Tensor, Tensor]:
    """Records that all differ from those of `records`: other images, and labels in other proportions."""
    images, labels = records(N, seed=7)
    return 255 - images, torch.full_like(labels, CLASSES - 1)


@pytest.mark.slow
def test_with_the_discriminators_steps_held_equal_other_records_give_the_same_network(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=STEPS)
    one = trained(gan(), access, records(N), withheld=True)
    other = trained(gan(), access, other_records(), withheld=True)
    assert all(same(*pair) for pair in zip(one.discriminators, other.discriminators, strict=True))
    assert all(same(*pair) for pair in zip(one.networks, other.networks, strict=True))
    assert same(state(one.averaged), state(other.averaged))
    assert not same(one.networks[-1], state(gan().network))
    seen = [trained(gan(), access, sensitive) for sensitive in (records(N), other_records())]
    assert not same(seen[0].networks[-1], seen[1].networks[-1])  # through the discriminator they do tell


def test_the_network_is_a_function_of_the_discriminators_weights_and_the_shared_seeds(tmp_path: Path) -> None:
    """All its states follow to the last bit from what DP-SGD released: it is post-processing."""
    _, access = reserved(tmp_path, steps=STEPS)
    module = trained(gan(), access, records(N))
    model = gan()
    _, optimizer = adams(model, learning_rate=0.01)
    for step in range(STEPS):
        model.discriminator.load_state_dict(module.discriminators[step])
        if (step + 1) % model.alternating.every == 0:
            random = keyed_generator(lambda count, step=step: access.following_bytes(step, count), torch.device("cpu"))
            flat = alternating_gradient(model.alternating, random)
            parameters = list(model.network.parameters())
            for parameter, piece in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
                parameter.grad = piece.view_as(parameter)
            optimizer.step()
        assert same(state(model.network), module.networks[step]), step


def test_the_network_moves_after_every_second_step_and_its_average_with_it(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=STEPS)
    module = trained(gan(), access, records(N))
    before = [state(gan().network), *module.networks]
    assert [not same(*pair) for pair in zip(before, module.networks, strict=False)] == [False, True] * (STEPS // 2)
    assert int(module.ema.n_averaged) == 1 + STEPS // 2
    assert module.averaged.state_dict().keys() == module.model.network.state_dict().keys()
    assert not same(state(module.averaged), module.networks[-1])
    assert module.private_step == STEPS


def test_no_gradient_of_the_networks_own_step_stays_on_the_discriminator(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=STEPS)
    module = trained(gan(), access, records(N))
    assert all(parameter.grad is None for parameter in module.model.parameters())
    assert not any(parameter.requires_grad for parameter in module.model.network.parameters())


def test_each_network_has_an_optimiser_with_the_gans_decays(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=STEPS)
    module = private_training(gan(), access)
    first, second = module.configure_optimizers()
    assert [len(o.param_groups[0]["params"]) for o in (first, second)] == [
        len(list(network.parameters())) for network in (module.model.discriminator, module.model.network)
    ]
    assert first.param_groups[0]["betas"] == second.param_groups[0]["betas"] == (0.0, 0.999)
