"""The GAN's generating network: published sizes, shapes, spectral norms, and the resolutions it refuses."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.nn.utils import parametrize

from configs.components.networks import BigGANConfig
from configs.errors import UserError
from lightning_modules.networks.biggan import BigGAN
from lightning_modules.registries import GENERATOR_NETWORKS

PRESETS = Path(__file__).parents[3] / "configs" / "generator_networks"
SMALL = BigGANConfig(base_channels=4, multipliers=[2, 1], attention_resolutions=[8], class_embedding=6)


def preset(name: str) -> BigGANConfig:
    return BigGANConfig(**OmegaConf.to_container(OmegaConf.load(PRESETS / f"{name}.yaml")))


def small(seed: int = 0) -> BigGAN:
    torch.manual_seed(seed)
    network = BigGAN(SMALL, resolution=16, channels=3, classes=5, latent=10)
    with torch.no_grad():
        network.attentions[0].strength.fill_(0.5)  # it begins at zero, which would hide the attention
    return network


def inputs(batch: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 10, generator=generator), torch.randint(0, 5, (batch,), generator=generator)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "resolution", "channels", "classes", "latent", "millions"),
    [
        ("biggan_9.4m", 32, 3, 10, 80, 9.42),
        ("biggan_9.4m", 32, 3, 1, 80, 9.42),
        ("biggan_11.3m_64x64", 64, 3, 1, 80, 11.3),
        ("biggan_0.1m_8x8", 8, 1, 10, 48, 0.1),
    ],
)
def test_presets_have_the_published_sizes(
    name: str, resolution: int, channels: int, classes: int, latent: int, millions: float
) -> None:
    with torch.device("meta"):
        built = GENERATOR_NETWORKS.build(
            preset(name), resolution=resolution, channels=channels, classes=classes, latent=latent
        )
    assert sum(p.numel() for p in built.parameters()) == pytest.approx(millions * 1e6, rel=0.01)


@pytest.mark.parametrize(("resolution", "blocks"), [(8, 1), (28, 2), (32, 3), (16, 4)])
def test_images_have_the_resolution_and_lie_within_one(resolution: int, blocks: int) -> None:
    config = BigGANConfig(base_channels=4, multipliers=[1] * blocks, attention_resolutions=[8, 14])
    network = BigGAN(config, resolution=resolution, channels=1, classes=5, latent=10)
    images = network(*inputs(3))
    assert images.shape == (3, 1, resolution, resolution)
    assert images.abs().max() <= 1 and images.std() > 0


def test_every_part_of_the_latent_and_the_label_matter() -> None:
    network = small().eval()
    latents, labels = inputs(3)
    with torch.no_grad():
        before = network(latents, labels)
        assert not torch.allclose(before, network(latents, (labels + 1) % 5), atol=1e-6)
        for value in range(latents.shape[1]):
            moved = latents.clone()
            moved[:, value] += 1
            assert not torch.allclose(before, network(moved, labels), atol=1e-6), value


def test_in_evaluation_mode_an_image_is_a_function_of_its_own_row() -> None:
    network = small()
    network(*inputs(8))  # moves the running statistics
    network.eval()
    latents, labels = inputs(4)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with torch.no_grad():
        together = network(latents, labels)
        for row in range(4):
            torch.testing.assert_close(network(latents[row : row + 1], labels[row : row + 1])[0], together[row])
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


def test_every_parameter_receives_a_gradient() -> None:
    network = small()
    latents, _ = inputs(10)
    network(latents, torch.arange(10) % 5).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
    assert network.class_embedding.weight.grad.any(dim=1).all()


def test_weights_of_convolutions_and_linear_layers_have_spectral_norm_one() -> None:
    network = small()
    for _ in range(30):
        network(*inputs(4))  # one power iteration each
    network.eval()
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert layers and all(parametrize.is_parametrized(layer, "weight") for layer in layers)
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
    assert type(network.class_embedding) is nn.Embedding and not parametrize.is_parametrized(network.class_embedding)


@pytest.mark.parametrize(
    ("changes", "resolution", "latent", "message"),
    [
        ({"multipliers": [1, 1]}, 14, 8, "14 pixels do not divide by 4. Give 1 multipliers or fewer"),
        ({"multipliers": [1]}, 9, 8, "Give an image.resolution that divides by 2"),
        ({"multipliers": []}, 8, 8, "network.multipliers: given"),
        ({"multipliers": [1, 0]}, 8, 8, "network.multipliers: given"),
        ({"multipliers": [1, 1]}, 8, 2, "latent: given 2"),
    ],
)
def test_impossible_shapes_are_refused(changes: dict[str, object], resolution: int, latent: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        BigGAN(BigGANConfig(**changes), resolution=resolution, channels=1, classes=3, latent=latent)
