"""The GAN's discriminator: published sizes, records kept apart, and the shapes it refuses."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from configs.components.networks import ProjectionConfig
from configs.errors import UserError
from lightning_modules.dp_sgd.fused.engine import unknown_layers
from lightning_modules.dp_sgd.validation import check_network
from lightning_modules.networks.projection import ProjectionDiscriminator
from lightning_modules.registries import DISCRIMINATORS
from tests.lightning_modules.networks.test_unet import awake

PRESETS = Path(__file__).parents[3] / "configs" / "discriminators"
SMALL = ProjectionConfig(base_channels=4, multipliers=[1, 2, 2], halvings=2, attention_resolutions=[4])


def preset(name: str) -> ProjectionConfig:
    return ProjectionConfig(**OmegaConf.to_container(OmegaConf.load(PRESETS / f"{name}.yaml")))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return awake(ProjectionDiscriminator(SMALL, resolution=16, channels=3, classes=5))


def inputs(batch: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, 16, 16, generator=generator), torch.randint(0, 5, (batch,), generator=generator)


@pytest.mark.parametrize(
    ("name", "resolution", "channels", "classes", "millions"),
    [
        ("projection_2.4m", 32, 3, 10, 2.37),
        ("projection_2.4m", 32, 3, 1, 2.37),
        ("projection_19.6m_64x64", 64, 3, 1, 19.6),
        ("projection_0.1m_8x8", 8, 1, 10, 0.1),
    ],
)
def test_presets_have_the_published_sizes(
    name: str, resolution: int, channels: int, classes: int, millions: float
) -> None:
    with torch.device("meta"):
        built = DISCRIMINATORS.build(preset(name), resolution=resolution, channels=channels, classes=classes)
    assert sum(p.numel() for p in built.parameters()) == pytest.approx(millions * 1e6, rel=0.01)


def test_a_record_does_not_see_the_others(network: nn.Module) -> None:
    images, labels = inputs(5)
    others, other_labels = inputs(5, seed=1)
    others[2], other_labels[2] = images[2], labels[2]
    with torch.no_grad():
        scores = network(images, labels)
        assert scores.shape == (5,)
        torch.testing.assert_close(network(images[2:3], labels[2:3])[0], scores[2], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(network(others, other_labels)[2], scores[2], atol=1e-5, rtol=1e-4)


def test_image_and_label_matter(network: nn.Module) -> None:
    images, labels = inputs(3)
    with torch.no_grad():
        scores = network(images, labels)
        assert not torch.isclose(scores, network(images + 0.1, labels), atol=1e-6).any()
        assert not torch.isclose(scores, network(images, (labels + 1) % 5), atol=1e-6).any()


def test_every_parameter_receives_a_gradient(network: nn.Module) -> None:
    images, _ = inputs(10)
    network.zero_grad()
    network(images, torch.arange(10) % 5).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
    network.zero_grad()


def test_it_may_be_trained_with_dp_sgd_by_either_engine(network: nn.Module) -> None:
    check_network(network)
    assert unknown_layers(network) == []
    assert not list(network.buffers())


@pytest.mark.parametrize(
    ("changes", "resolution", "message"),
    [
        (
            {"halvings": 2},
            14,
            r"discriminator\.halvings: 4 blocks cannot halve 14 pixels 2 times. Allowed is at most 1",
        ),
        ({"halvings": 3, "multipliers": [1, 1]}, 16, "at most 2"),
        ({"multipliers": []}, 8, r"discriminator\.multipliers: given"),
        ({"multipliers": [0]}, 8, r"discriminator\.multipliers: given"),
    ],
)
def test_impossible_shapes_are_refused(changes: dict[str, object], resolution: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ProjectionDiscriminator(ProjectionConfig(**changes), resolution=resolution, channels=1, classes=3)
