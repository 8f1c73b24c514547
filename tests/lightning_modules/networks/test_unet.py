"""The U-Net: published sizes, shapes, records kept apart, and the resolutions it refuses."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from opacus import GradSampleModule
from opacus.validators import ModuleValidator
from torch import nn

from configs.components.networks import UNetConfig
from configs.errors import UserError
from lightning_modules.networks.unet import UNet
from lightning_modules.registries import NETWORKS

PRESETS = Path(__file__).parents[3] / "configs" / "networks"
KNOWN = (nn.Conv2d, nn.Linear, nn.GroupNorm, nn.Embedding)


def preset(name: str) -> UNetConfig:
    return UNetConfig(**OmegaConf.to_container(OmegaConf.load(PRESETS / f"{name}.yaml")))


def awake(network: nn.Module) -> nn.Module:
    """The network with its zero-initialised layers drawn at random, so that every part shows in the output."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    config = UNetConfig(base_channels=8, blocks_per_level=1, multipliers=[1, 2], attention_resolutions=[4])
    return awake(UNet(config, resolution=8, channels=1, classes=10))


def inputs(batch: int, seed: int, channels: int = 1, resolution: int = 8) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, channels, resolution, resolution, generator=generator)
    return x, torch.randn(batch, generator=generator), torch.randint(0, 11, (batch,), generator=generator)


CIFAR, CELEBA32, CELEBA64, MNIST = (32, 3, 10), (32, 3, 1), (64, 3, 1), (28, 1, 10)
PUBLISHED = {
    CIFAR: ["1.75", "4.0", "6.1", "15.7", "27.9", "80"],
    CELEBA32: ["1.80", "4.2", "6.3", "16.2", "28.7"],
    CELEBA64: ["2.00", "4.3", "6.5", "17.9", "31.8"],
    MNIST: ["1.75", "6.99", "27.9", "62.7", "112", "251"],
}


def parameters(name: str, shape: tuple[int, int, int]) -> int:
    """The parameters of a preset for a resolution, channels and classes."""
    resolution, channels, classes = shape
    with torch.device("meta"):
        built = NETWORKS.build(preset(name), resolution=resolution, channels=channels, classes=classes)
    return sum(p.numel() for p in built.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "millions"), [(shape, size) for shape in PUBLISHED for size in PUBLISHED[shape]])
def test_presets_have_the_published_sizes(shape: tuple[int, int, int], millions: str) -> None:
    """PrivImage's tables, Figure 7 and appendix B: the count that rounds to the published one, to its last digit."""
    unit = 10.0 ** -len(millions.partition(".")[2])
    assert parameters(f"unet_{millions}m", shape) / 1e6 == pytest.approx(float(millions), abs=0.5 * unit)


def test_every_preset_says_how_many_parameters_it_has() -> None:
    assert parameters("unet_0.2m_8x8", (8, 1, 10)) == pytest.approx(0.19e6, rel=0.03)
    assert parameters("unet_0.72m_28x28", (28, 1, 10)) == pytest.approx(0.72e6, abs=0.005e6)
    for size in {size for sizes in PUBLISHED.values() for size in sizes}:
        assert (PRESETS / f"unet_{size}m.yaml").read_text().startswith(f"# {size} M parameters: ")


@pytest.mark.parametrize(
    ("resolution", "channels", "multipliers"),
    [(8, 1, [1, 2]), (14, 1, [1, 2]), (28, 1, [1, 2, 2]), (32, 3, [1, 2, 2]), (64, 3, [1, 1, 2, 2])],
)
def test_output_has_the_shape_of_the_input(resolution: int, channels: int, multipliers: list[int]) -> None:
    config = UNetConfig(base_channels=4, blocks_per_level=1, multipliers=multipliers, attention_resolutions=[7, 16])
    built = awake(UNet(config, resolution=resolution, channels=channels, classes=10))
    x, c_noise, labels = inputs(2, 0, channels, resolution)
    output = built(x, c_noise, labels)
    assert output.shape == x.shape
    assert output.std() > 0


def test_a_patch_is_one_position_to_the_network() -> None:
    """The same work as on an image with as many positions as patches, whose channels are the pixels of a patch."""
    settings = {"base_channels": 4, "blocks_per_level": 1, "multipliers": [1, 2], "attention_resolutions": [4]}
    torch.manual_seed(0)
    patched = awake(UNet(UNetConfig(**settings, patch=2), resolution=8, channels=1, classes=10))
    torch.manual_seed(0)
    whole = awake(UNet(UNetConfig(**settings), resolution=4, channels=4, classes=10))
    x, c_noise, labels = inputs(3, 0)
    positions = x.reshape(3, 4, 2, 4, 2).permute(0, 2, 4, 1, 3).reshape(3, 4, 4, 4)
    expected = whole(positions, c_noise, labels).reshape(3, 2, 2, 4, 4).permute(0, 3, 1, 4, 2).reshape(3, 1, 8, 8)
    torch.testing.assert_close(patched(x, c_noise, labels), expected)
    assert expected.std() > 0


def test_a_new_network_predicts_zero() -> None:
    config = UNetConfig(base_channels=8, multipliers=[1, 2], attention_resolutions=[4])
    assert not UNet(config, resolution=8, channels=1, classes=10)(*inputs(2, 0)).any()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31), batch=st.integers(2, 6), data=st.data())
def test_a_record_does_not_see_the_others(network: nn.Module, seed: int, batch: int, data: st.DataObject) -> None:
    x, c_noise, labels = inputs(batch, seed)
    kept = data.draw(st.integers(0, batch - 1))
    others_x, others_noise, others_labels = inputs(batch, seed + 1)
    others_x[kept], others_noise[kept], others_labels[kept] = x[kept], c_noise[kept], labels[kept]
    with torch.no_grad():
        alone = network(x[kept : kept + 1], c_noise[kept : kept + 1], labels[kept : kept + 1])[0]
        together = network(x, c_noise, labels)[kept]
        among_others = network(others_x, others_noise, others_labels)[kept]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(among_others, together, atol=1e-5, rtol=1e-5)


def test_noise_level_and_label_matter(network: nn.Module) -> None:
    x, c_noise, labels = inputs(3, 0)
    with torch.no_grad():
        output = network(x, c_noise, labels)
        assert not torch.allclose(output, network(x, c_noise + 0.1, labels), atol=1e-5)
        assert not torch.allclose(output, network(x, c_noise, (labels + 1) % 11), atol=1e-5)


def test_every_parameter_receives_a_gradient(network: nn.Module) -> None:
    x, c_noise, _ = inputs(11, 0)
    network.zero_grad()
    network(x, c_noise, torch.arange(11)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
    assert network.class_embedding.weight.grad.any(dim=1).all()
    network.zero_grad()


def test_weights_sit_in_layers_that_per_record_engines_know(network: nn.Module) -> None:
    held = {id(p) for m in network.modules() if isinstance(m, KNOWN) for p in m.parameters(recurse=False)}
    assert {id(p) for p in network.parameters()} == held
    assert not ModuleValidator.validate(network.train(), strict=False)


def test_per_record_gradients_agree_with_autograd() -> None:
    config = UNetConfig(base_channels=8, blocks_per_level=1, multipliers=[1, 2], attention_resolutions=[4])
    torch.manual_seed(1)
    built = awake(UNet(config, resolution=8, channels=1, classes=10))
    x, c_noise, labels = inputs(3, 1)
    expected = []
    for i in range(3):
        losses = built(x[i : i + 1], c_noise[i : i + 1], labels[i : i + 1]).square().sum()
        expected.append(torch.autograd.grad(losses, list(built.parameters())))
    wrapped = GradSampleModule(built, loss_reduction="sum")
    wrapped(x, c_noise, labels).square().sum().backward()
    for index, parameter in enumerate(built.parameters()):
        reference = torch.stack([gradients[index] for gradients in expected])
        torch.testing.assert_close(parameter.grad_sample, reference, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "resolution", "message"),
    [
        ({"multipliers": [1, 2, 2]}, 14, "14 pixels do not divide by 4. Give at most 2 multipliers"),
        ({"multipliers": [1, 2]}, 9, "Give at most 1 multipliers"),
        ({"multipliers": []}, 8, "network.multipliers: given"),
        ({"multipliers": [1, 0]}, 8, "network.multipliers: given"),
        ({"patch": 3}, 28, "network.patch: 28 pixels do not divide by 3"),
        ({"patch": 2, "multipliers": [1, 2, 2]}, 28, "14 patches do not divide by 4.*at most 2.* that divides by 8"),
        ({"base_channels": 9}, 32, "network.base_channels: given 9"),
    ],
)
def test_impossible_shapes_are_refused(changes: dict[str, object], resolution: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        UNet(UNetConfig(**changes), resolution=resolution, channels=1, classes=10)
