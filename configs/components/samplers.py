"""Samplers of diffusion models: their names and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from configs.fields import key
from configs.registry import Catalogue

SAMPLER_NAMES = Catalogue("sampler")


@SAMPLER_NAMES.add
@dataclass
class DDIMConfig:
    """DDIM: Euler steps down the schedule; the step to zero is one last denoising."""

    name: str = key("ddim", "Euler steps, one evaluation of the network per step")
    steps: int = key(50, "noise levels, each with one evaluation of the network (two with guidance)", at_least=2)
    sigma_max: float = key(80.0, "first noise level", above=0)
    sigma_min: float = key(0.002, "last noise level above zero", above=0)
    rho: float = key(7.0, "the larger, the more steps are at small noise levels", above=0)


@SAMPLER_NAMES.add
@dataclass
class HeunConfig:
    """EDM: Heun's second-order steps, with optional churn (Karras et al. 2022, Algorithm 2)."""

    name: str = key("heun", "second-order steps with optional churn (EDM)")
    steps: int = key(
        18,
        "noise levels, each with two evaluations of the network (four with guidance); the last has half of that",
        at_least=2,
    )
    sigma_max: float = key(80.0, "first noise level", above=0)
    sigma_min: float = key(0.002, "last noise level above zero", above=0)
    rho: float = key(7.0, "the larger, the more steps are at small noise levels", above=0)
    S_churn: float = key(0.0, "fresh noise added over the whole schedule; 0: deterministic", at_least=0)
    S_min: float = key(0.0, "smallest noise level at which noise is added", at_least=0)
    S_max: Optional[float] = key(None, "largest noise level at which noise is added (default: no limit)", at_least=0)
    S_noise: float = key(1.0, "standard deviation of the added noise", at_least=0)
