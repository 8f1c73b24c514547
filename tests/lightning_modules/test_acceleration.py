"""Networks in half precision and compiled: close to the plain ones, and left as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from configs.components.generators import DiffusionConfig
from configs.components.networks import UNetConfig
from configs.components.samplers import DDIMConfig
from configs.errors import UserError
from configs.schema import Image
from lightning_modules.acceleration import accelerated
from lightning_modules.diffusion import Diffusion
from lightning_modules.registries import LEARNERS
from tests.lightning_modules.networks.test_unet import awake

SMALL = UNetConfig(base_channels=4, blocks_per_level=1, multipliers=[1, 2], attention_resolutions=[4])
COMPILER = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")


def build(**changes: object) -> Diffusion:
    torch.manual_seed(0)
    config = DiffusionConfig(network=SMALL, sampler=DDIMConfig(steps=3), **changes)
    model = LEARNERS.build(config, image=Image(resolution=8, channels=1), classes=10)
    awake(model.trainable)
    return model


def inputs(size: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(3)
    return torch.randn(size, 1, 8, 8, generator=random), torch.randn(size, generator=random), torch.arange(size)


class Tiny(nn.Module):
    """A denoising network that compiles quickly."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor) -> Tensor:
        return torch.tanh(self.conv(x)) + 0.1 * (c_noise + labels)[:, None, None, None]


class Recorder(nn.Module):
    """A linear network that keeps the types it works in."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.types: list[torch.dtype] = []

    def forward(self, x: Tensor) -> Tensor:
        self.types.append(self.linear(x).dtype)
        return self.linear(x)


def test_half_precision_is_the_networks_alone() -> None:
    """Inside, layers work in bf16; what comes in and goes out stays in single precision."""
    network = Recorder()
    x = torch.randn(3, 4)
    with accelerated(network, precision="bf16"):
        output = network(x)
        assert (x @ x.T).dtype == torch.float32
    assert network.types == [torch.bfloat16] and output.dtype == torch.float32
    exact = network(x)
    assert network.types[-1] == torch.float32
    torch.testing.assert_close(output, exact, rtol=0.02, atol=0.02)
    assert not torch.equal(output, exact)


def test_a_unet_in_half_precision_is_close() -> None:
    network = build().trainable
    with torch.inference_mode():
        exact = network(*inputs())
        with accelerated(network, precision="bf16"):
            half = network(*inputs())
    assert 0 < float((half - exact).square().mean().sqrt() / exact.std()) < 0.03


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_network_is_left_as_it_was(precision: str) -> None:
    network = build().trainable
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    before = network(*inputs())
    with pytest.raises(ZeroDivisionError), accelerated(network, precision=precision):
        network(*inputs())
        raise ZeroDivisionError
    assert "forward" not in vars(network)
    assert torch.equal(network(*inputs()), before)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in weights.items())
    assert network.state_dict().keys() == weights.keys()


@pytest.mark.slow
def test_a_failing_compiler_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from torch._inductor import config

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # nothing that was compiled before
    network = Tiny()
    with (
        config.patch({"cpp.cxx": (None, str(tmp_path / "no-such-compiler"))}),
        torch.inference_mode(),
        pytest.raises(UserError) as error,
        accelerated(network, compile=True),
    ):
        network(*inputs())
    message = str(error.value)
    assert message.startswith("synthesize.compile: ") and "\n" not in message
    assert "no-such-compiler" in message and "Install a C++ compiler" in message
    assert "synthesize.compile=false" in message
    assert "forward" not in vars(network)


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler on this machine, which torch.compile needs")
def test_a_compiled_network_samples_the_same_images_and_compiles_once() -> None:
    model = build(guidance=0.5)
    model.network = Tiny()
    labels = torch.arange(6) % 10
    plain = model.sample(labels, torch.Generator().manual_seed(0))
    with accelerated(model.trainable, compile=True) as network:
        compiled = model.sample(labels, torch.Generator().manual_seed(0))
        took = network.compile_seconds
        again = model.sample(labels, torch.Generator().manual_seed(0))
    assert took > 0 and network.compile_seconds == took
    assert torch.equal(compiled, again)
    assert (plain.int() - compiled.int()).abs().max() <= 1  # the compiler may add in another order
