"""The diffusion model: preconditioning, loss, label dropout, multiplicity and guidance."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus import GradSampleModule
from torch import Tensor, nn

from configs.components.generators import DiffusionConfig
from configs.components.networks import UNetConfig
from configs.components.samplers import DDIMConfig
from configs.errors import UserError
from configs.schema import Image
from lightning_modules.diffusion import Diffusion
from lightning_modules.registries import LEARNERS
from tests.lightning_modules.networks.test_unet import awake

SMALL = UNetConfig(base_channels=8, blocks_per_level=1, multipliers=[1, 2], attention_resolutions=[4])
CLASSES = 10


def build(**changes: object) -> Diffusion:
    torch.manual_seed(0)
    config = DiffusionConfig(network=SMALL, sampler=DDIMConfig(steps=4), **changes)
    model = LEARNERS.build(config, image=Image(resolution=8, channels=1), classes=CLASSES)
    awake(model.trainable)
    return model


def records(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, CLASSES, (count,), generator=generator)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Watched(nn.Module):
    """A network that keeps what it was called with and predicts a fixed function of it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor) -> Tensor:
        self.calls.append((x, c_noise, labels))
        return 0.3 * x + 0.1 * labels[:, None, None, None]


def watched(**changes: object) -> tuple[Diffusion, Watched]:
    model = build(**changes)
    model.network = Watched()
    return model, model.network


def test_the_loss_is_the_papers() -> None:
    """In terms of the network's own target, lambda c_out^2 |F - (y - c_skip (y + n)) / c_out|^2 (EDM, Eq. 8)."""
    model, network = watched(multiplicity=3, label_dropout=0.3)
    images, labels = records(5)
    losses = model.record_losses(images, labels, seeded(7)).double().numpy()
    dropped, sigma, noise = (draw.double().numpy() for draw in model.draw(5, 3, seeded(7)))

    data = 1 / 3  # sigma_data squared
    for row in range(15):
        record = row // 3
        clean = images[record].double().numpy() / 127.5 - 1
        label = CLASSES if dropped[record] else labels[record].item()
        s = sigma[row]
        c_skip, c_out, c_in = data / (s**2 + data), s * math.sqrt(data / (s**2 + data)), 1 / math.sqrt(s**2 + data)
        noisy = clean + s * noise[row]
        predicted = 0.3 * (c_in * noisy) + 0.1 * label
        target = (clean - c_skip * noisy) / c_out
        weight = (s**2 + data) / (s**2 * data) * c_out**2
        assert losses[row] == pytest.approx(weight * np.mean((predicted - target) ** 2), rel=1e-4)
        seen_x, seen_noise, seen_label = (seen[row] for seen in network.calls[0])
        np.testing.assert_allclose(seen_x.numpy(), c_in * noisy, atol=1e-5)
        assert seen_noise.item() == pytest.approx(math.log(s) / 4, abs=1e-6)
        assert seen_label.item() == label


@settings(max_examples=30)
@given(log_sigma=st.floats(math.log(0.002), math.log(80)))
def test_preconditioning_identities(log_sigma: float) -> None:
    """Unit-variance input and target for data of std sigma_data (Karras et al. 2022, appendix B.6)."""
    sigma, data = math.exp(log_sigma), 1 / 3
    model, network = watched()
    x = torch.ones(1, 1, 8, 8)
    label = torch.zeros(1, dtype=torch.long)
    level = torch.tensor([sigma])
    output = model.denoise(x, level, label)[0, 0, 0, 0].item()
    c_in = network.calls[0][0][0, 0, 0, 0].item()
    assert c_in**2 * (sigma**2 + data) == pytest.approx(1, rel=1e-4)
    c_skip = data / (sigma**2 + data)
    c_out = (output - c_skip) / (0.3 * c_in)
    # the target (y - c_skip (y + n)) / c_out has variance ((1 - c_skip)^2 data + c_skip^2 sigma^2) / c_out^2
    assert ((1 - c_skip) ** 2 * data + c_skip**2 * sigma**2) / c_out**2 == pytest.approx(1, rel=1e-2)


def test_noise_levels_have_the_configured_distribution() -> None:
    _, sigma, noise = build(P_mean=-0.5, P_std=0.7).draw(4000, 4, seeded())
    assert sigma.log().mean().item() == pytest.approx(-0.5, abs=0.03)
    assert sigma.log().std().item() == pytest.approx(0.7, abs=0.03)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(1, abs=0.01)
    levels = sigma.log().reshape(4000, 4)
    assert torch.corrcoef(levels.T).fill_diagonal_(0).abs().max() < 0.06


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5])
def test_labels_are_dropped_once_a_record_before_the_repeats(probability: float) -> None:
    model, network = watched(multiplicity=4, label_dropout=probability)
    images, labels = records(4000)
    model.record_losses(images, labels, seeded())
    seen = network.calls[0][2].reshape(4000, 4)
    assert (seen == seen[:, :1]).all()
    dropped = seen[:, 0] == CLASSES
    assert dropped.float().mean().item() == pytest.approx(probability, abs=0.03)
    assert torch.equal(seen[~dropped, 0], labels[~dropped])


def test_multiplicity_can_be_replaced_for_public_training() -> None:
    model = build(multiplicity=3)
    images, labels = records(5)
    assert model.multiplicity == 3
    assert model.record_losses(images, labels, seeded()).shape == (15,)
    assert model.record_losses(images, labels, seeded(), multiplicity=1).shape == (5,)


def test_an_empty_batch_has_no_losses() -> None:
    losses = build(multiplicity=3).record_losses(*records(0), seeded())
    assert losses.shape == (0,)
    losses.sum().backward()


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), batch=st.integers(2, 5), data=st.data())
def test_a_loss_depends_on_its_own_record_alone(seed: int, batch: int, data: st.DataObject) -> None:
    model = build(multiplicity=2)
    kept = data.draw(st.integers(0, batch - 1))
    images, labels = records(batch, seed)
    others, other_labels = records(batch, seed + 1)
    others[kept], other_labels[kept] = images[kept], labels[kept]
    with torch.no_grad():
        first = model.record_losses(images, labels, seeded(seed)).reshape(batch, 2)
        second = model.record_losses(others, other_labels, seeded(seed)).reshape(batch, 2)
    torch.testing.assert_close(first[kept], second[kept], atol=1e-5, rtol=1e-4)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), batch=st.integers(1, 6), cut=st.integers(0, 6), draws=st.integers(1, 3))
def test_draws_stay_the_same_however_a_batch_is_cut(seed: int, batch: int, cut: int, draws: int) -> None:
    model, cut = build(), min(cut, batch)
    whole = model.draw(batch, draws, seeded(seed))
    generator = seeded(seed)
    parts = [model.draw(cut, draws, generator), model.draw(batch - cut, draws, generator)]
    for index, draw in enumerate(whole):
        assert torch.equal(draw, torch.cat([part[index] for part in parts]))


def test_per_record_gradients_agree_with_autograd_in_any_memory_layout() -> None:
    model = build(multiplicity=2)
    images, labels = records(3)
    images = images.expand(3, 1, 8, 8).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    losses = model.record_losses(images, labels, seeded())
    weights = list(model.trainable.parameters())
    expected = [torch.autograd.grad(loss, weights, retain_graph=True) for loss in losses]
    wrapped = GradSampleModule(model.trainable, loss_reduction="sum")
    model.record_losses(images, labels, seeded()).sum().backward()
    for index, parameter in enumerate(weights):
        reference = torch.stack([gradients[index] for gradients in expected])
        torch.testing.assert_close(parameter.grad_sample, reference, atol=1e-4, rtol=1e-3)
    wrapped.remove_hooks()


def test_every_parameter_receives_a_gradient() -> None:
    model = build(label_dropout=0.5)
    images, labels = records(64)
    model.record_losses(images, labels, seeded()).mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.trainable.parameters())
    assert {id(p) for p in model.parameters()} == {id(p) for p in model.trainable.parameters()}


@pytest.mark.parametrize("w", [0.0, 1.5])
def test_guidance(w: float) -> None:
    model, network = watched(guidance=w)
    x, sigma, labels = torch.randn(3, 1, 8, 8, generator=seeded()), torch.tensor([0.1, 1, 10]), torch.tensor([1, 2, 3])
    guided = model.guided(x, sigma, labels)
    assert len(network.calls) == (1 if w == 0 else 2)
    conditional, unconditional = model.denoise(x, sigma, labels), model.denoise(x, sigma, torch.full((3,), CLASSES))
    torch.testing.assert_close(guided, (1 + w) * conditional - w * unconditional)


def test_samples_are_pixels_and_repeat_with_the_generator() -> None:
    model = build(guidance=0.5).train()
    labels = torch.tensor([0, 3, 9])
    samples = model.sample(labels, seeded(1))
    assert samples.shape == (3, 1, 8, 8) and samples.dtype == torch.uint8
    assert torch.equal(samples, model.sample(labels, seeded(1)))
    assert not torch.equal(samples, model.sample(labels, seeded(2)))
    assert model.training and model.trainable.training
    assert model.sample(labels[:0], seeded()).shape == (0, 1, 8, 8)


def test_state_is_the_networks_alone() -> None:
    model = build()
    assert {key.removeprefix("network.") for key in model.state_dict()} == set(model.trainable.state_dict())


def test_a_variation_is_as_far_from_its_image_as_its_noise() -> None:
    model = build().train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()  # denoising then shrinks what is noisy, and remembers nothing else
    images, _ = records(40)

    def moved(sigma: float) -> float:
        varied = model.vary(images, sigma, seeded())
        assert varied.dtype == torch.uint8 and varied.shape == images.shape
        return float((varied.float() - images.float()).abs().mean())

    assert moved(0.01) < 0.2 * moved(0.3) < moved(3.0)
    assert torch.equal(model.vary(images, 0.3, seeded(1)), model.vary(images, 0.3, seeded(1)))
    assert not torch.equal(model.vary(images, 0.3, seeded(1)), model.vary(images, 0.3, seeded(2)))
    assert model.training
    with pytest.raises(UserError, match=r"sampler\.sigma_min: given 0\.002"):
        model.vary(images, 0.001, seeded())
