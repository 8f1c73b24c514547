"""The GAN: its losses, what a record's loss depends on, per-record gradients, and the generating network's training."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from configs.components.generators import GANConfig
from configs.components.networks import BigGANConfig, ProjectionConfig
from configs.errors import UserError
from configs.schema import Image
from lightning_modules.alternating import learning
from lightning_modules.dp_sgd.engine import ENGINES, trained_parameters
from lightning_modules.dp_sgd.fused.engine import FusedEngine
from lightning_modules.dp_sgd.validation import check_records_apart
from lightning_modules.gan import GAN
from lightning_modules.pixels import to_network
from lightning_modules.registries import LEARNERS
from tests.lightning_modules.dp_sgd.toy import autograd_sum, summed

CLASSES = 3
CLIP = 0.5


def gan(seed: int = 0, **changes: object) -> GAN:
    """A small GAN whose weights depend on the seed, after one update of BatchNorm's statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        settings = {"latent": 6, "discriminator_steps": 2, "fakes": 8, **changes}
        config = GANConfig(
            network=BigGANConfig(base_channels=4, multipliers=[1], attention_resolutions=[], class_embedding=4),
            discriminator=ProjectionConfig(base_channels=4, multipliers=[1, 2], halvings=1),
            **settings,
        )
        model = LEARNERS.build(config, image=Image(resolution=4, channels=1), classes=CLASSES)
        with torch.no_grad():
            for parameter in model.discriminator.class_embedding.parameters():
                parameter.normal_(std=0.3)  # larger than at the start, so that labels show
            model.generator_losses(seeded(seed))
    return model


def records(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = seeded(seed)
    images = torch.randint(0, 256, (count, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, CLASSES, (count,), generator=generator)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_losses_are_the_hinge_of_an_image_and_of_a_fake_with_its_label() -> None:
    model = gan()
    images, labels = records(5)
    losses = model.record_losses(images, labels, seeded(3))
    assert losses.shape == (5 * model.multiplicity,)
    latents = model.latents(5, seeded(3))
    model.eval()
    for i in range(5):
        row = slice(i, i + 1)
        with torch.no_grad():
            real = model.discriminator(to_network(images[row]), labels[row])
            fake = model.discriminator(model.network(latents[row], labels[row]), labels[row])
        expected = (1 - real).clamp(min=0) + (1 + fake).clamp(min=0)
        assert losses[2 * i : 2 * i + 2].mean().item() == pytest.approx(expected.item(), rel=1e-5)
    sums = model.record_losses(images, labels, seeded(3), multiplicity=1)
    torch.testing.assert_close(sums, losses.unflatten(0, (5, 2)).mean(1))


def test_an_empty_batch_has_no_losses() -> None:
    images, labels = records(0)
    assert gan().record_losses(images, labels, seeded()).shape == (0,)
    assert gan().record_losses(images, labels, seeded(), multiplicity=1).shape == (0,)


@pytest.mark.parametrize("engine", ["fused", "opacus"])
@pytest.mark.parametrize("clip", [1e-3, CLIP, 1e6])
def test_engines_clip_and_sum_what_autograd_gives_record_by_record(engine: str, clip: float) -> None:
    model = gan()
    images, labels = records(6)
    expected = autograd_sum(model, images, labels, seeded(), clip)
    built = ENGINES[engine](model, clip, "fp32")
    assert isinstance(built, FusedEngine) == (engine == "fused")
    torch.testing.assert_close(summed(built, images, labels), expected, rtol=1e-4, atol=1e-5 * min(clip, 10))


@pytest.mark.parametrize("engine", ["fused", "opacus"])
def test_leaving_out_a_record_takes_away_its_own_clipped_gradient_and_nothing_else(engine: str) -> None:
    model = gan()
    images, labels = records(6)
    built = ENGINES[engine](model, CLIP, "fp32")
    whole, without = summed(built, images, labels), summed(built, images[:-1], labels[:-1])
    loss = model.record_losses(images, labels, seeded()).unflatten(0, (6, 2))[-1].mean()
    own = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, trained_parameters(model))])
    own *= min(1.0, CLIP / (1 + 2**-10) / float(own.norm()))
    torch.testing.assert_close(whole - without, own, rtol=1e-4, atol=1e-5)
    assert (whole - without).norm() <= CLIP


def test_a_records_loss_does_not_move_with_the_others() -> None:
    model = gan()
    images, labels = records(5)
    before = model.record_losses(images, labels, seeded(), multiplicity=1)
    for i, shift in itertools.product(range(5), (1, 2)):
        others, other_labels = 255 - images, (labels + shift) % CLASSES
        others[i], other_labels[i] = images[i], labels[i]
        after = model.record_losses(others, other_labels, seeded(), multiplicity=1)
        torch.testing.assert_close(after[i], before[i], rtol=1e-5, atol=1e-6)


def test_micro_batches_draw_the_same_latents_as_a_whole_batch() -> None:
    model = gan()
    images, labels = records(7)
    whole = model.record_losses(images, labels, seeded())
    generator = seeded()
    parts = [model.record_losses(images[i : i + 3], labels[i : i + 3], generator) for i in (0, 3, 6)]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_private_losses_leave_the_generating_network_as_it_is() -> None:
    model = gan().train()
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    images, labels = records(6)
    model.record_losses(images, labels, seeded()).sum().backward()
    after = model.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.network.parameters())
    assert all(parameter.grad is not None for parameter in model.discriminator.parameters())
    assert model.network.training


def test_private_losses_keep_nothing_of_the_records() -> None:
    """The same object computes the generating network's losses later."""

    def held(model: GAN) -> dict[tuple[str, str], object]:
        return {(name, key): value for name, module in model.named_modules() for key, value in vars(module).items()}

    model = gan()
    before = held(model)
    model.record_losses(*records(6), seeded())
    after = held(model)
    assert after.keys() == before.keys() and all(after[place] is value for place, value in before.items())


@pytest.mark.parametrize("engine", ["fused", "opacus"])
def test_the_trial_before_private_training_passes(engine: str) -> None:
    model = gan()
    built = ENGINES[engine](model, 1.0, "fp32")
    check_records_apart(model, built, shape=(1, 4, 4), classes=CLASSES, device=torch.device("cpu"))


def test_a_network_that_met_records_in_training_mode_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """If BatchNorm used statistics of a batch, its fakes would carry labels past the noise."""
    model = gan()
    monkeypatch.setattr(model, "generate", lambda latents, labels: model.network(latents, labels).detach())
    built = ENGINES["opacus"](model, 1.0, "fp32")
    with pytest.raises(UserError, match=r"the buffer '.*' changes"):
        check_records_apart(model, built, shape=(1, 4, 4), classes=CLASSES, device=torch.device("cpu"))


def test_the_generating_network_learns_from_the_discriminators_scores_of_uniform_labels() -> None:
    model = gan(fakes=3000)
    seen: list[Tensor] = []
    hook = model.discriminator.register_forward_pre_hook(lambda layer, given: seen.append(given[1]))
    with learning(model.network):
        losses = model.generator_losses(seeded())
        gradients = torch.autograd.grad(losses.mean(), list(model.network.parameters()))
    hook.remove()
    assert losses.shape == (3000,)
    counts = torch.bincount(seen[0], minlength=CLASSES)
    assert (counts - 1000).abs().max() < 150
    assert all(gradient.isfinite().all() for gradient in gradients) and any(bool(g.any()) for g in gradients)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_samples_are_a_function_of_weights_labels_and_random_numbers() -> None:
    model = gan()
    labels = torch.arange(9) % CLASSES
    images = model.sample(labels, seeded(1))
    assert images.shape == (9, 1, 4, 4) and images.dtype == torch.uint8
    assert torch.equal(images, model.sample(labels, seeded(1)))
    assert not torch.equal(images, model.sample(labels, seeded(2)))
    assert torch.equal(images[:4], model.sample(labels[:4], seeded(1)))


def test_half_precision_gives_losses_and_gradients_in_full_precision() -> None:
    images, labels = records(6)
    full, half = (summed(ENGINES["fused"](gan(), CLIP, precision), images, labels) for precision in ("fp32", "bf16"))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0.2, atol=0.05)
