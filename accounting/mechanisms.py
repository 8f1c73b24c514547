"""The mechanisms of a run: what gets noise, how much and how often."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from configs.errors import UserError
from configs.noise_limits import LARGEST_NOISE


@dataclass(frozen=True, kw_only=True)
class _Gaussian:
    """What the accountant and the source of noise need to know about one private access.

    Raises:
        UserError: if a value is out of range.
    """

    name: str
    """Not empty; what the ledger and all tables call the mechanism."""
    noise_multiplier: float
    """Noise std divided by the L2 sensitivity, > 0 and at most 1e6."""
    sensitivity: float
    """Greatest L2 distance that adding or removing one record moves the quantity that gets the noise, > 0."""

    kind: ClassVar[str]
    """Name of the class in `to_dict`."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise UserError(f"a {self.kind} needs a name, got {self.name!r}")
        for field in ("noise_multiplier", "sensitivity"):
            self._set_positive(field)
        if self.noise_multiplier > LARGEST_NOISE:
            raise UserError(
                f"{self.name}: noise_multiplier must be at most {LARGEST_NOISE:g}, got {self.noise_multiplier}: more "
                "noise leaves nothing of the answer"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without loss; `mechanism_from_dict` reads them."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    def _set_positive(self, field: str) -> None:
        object.__setattr__(self, field, self._number(field, float))
        if not getattr(self, field) > 0:
            raise UserError(f"{self.name}: {field} must be > 0, got {getattr(self, field):g}")

    def _set_count(self, field: str) -> None:
        value = self._number(field, float)
        if value < 1 or not value.is_integer():
            raise UserError(f"{self.name}: {field} must be a whole number >= 1, got {value:g}")
        object.__setattr__(self, field, int(value))

    def _number(self, field: str, to: type[float]) -> float:
        try:
            value = to(getattr(self, field))
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise UserError(f"{self.name}: {field} must be a finite number, got {getattr(self, field)!r}")
        return value


@dataclass(frozen=True, kw_only=True)
class GaussianQuery(_Gaussian):
    """One Gaussian mechanism over every record: the semantic query, of sensitivity sqrt(k1).

    Source: PrivImage §3.3.
    """

    kind: ClassVar[str] = "gaussian query"
    sampling_rate: ClassVar[float] = 1.0
    """Every record is read."""
    steps: ClassVar[int] = 1
    """One release."""


@dataclass(frozen=True, kw_only=True)
class SampledGaussian(_Gaussian):
    """`steps` adaptive runs of the sampled Gaussian mechanism: DP-SGD. Its sensitivity is the clip norm.

    Source: Mironov et al. 2019, Def. 3.
    """

    sampling_rate: float
    """Poisson probability of each record in a step, in (0, 1]."""
    steps: int
    """Number of runs, >= 1."""

    kind: ClassVar[str] = "sampled gaussian"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_positive("sampling_rate")
        if self.sampling_rate > 1:
            raise UserError(f"{self.name}: sampling_rate must be in (0, 1], got {self.sampling_rate}")
        self._set_count("steps")


@dataclass(frozen=True, kw_only=True)
class GaussianHistogram(_Gaussian):
    """`rounds` noisy histograms over every record: Private Evolution, where each record casts votes of L2 norm 1."""

    rounds: int
    """Number of histograms, >= 1."""
    sensitivity: float = 1.0
    """L2 norm of a record's votes, > 0."""

    kind: ClassVar[str] = "gaussian histogram"
    sampling_rate: ClassVar[float] = 1.0
    """Every record is read."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_count("rounds")

    @property
    def steps(self) -> int:
        """One noisy histogram per round."""
        return self.rounds


Mechanism = GaussianQuery | SampledGaussian | GaussianHistogram

_KINDS: dict[str, type[Mechanism]] = {c.kind: c for c in (GaussianQuery, SampledGaussian, GaussianHistogram)}


def mechanism_from_dict(values: Mapping[str, Any]) -> Mechanism:
    """The mechanism that `to_dict` described.

    Raises:
        UserError: if the kind, a key or a value is not that of a mechanism.
    """
    values = dict(values)
    kind = values.pop("kind", None)
    if kind not in _KINDS:
        raise UserError(f"there is no mechanism of kind {kind!r} (there are: {', '.join(_KINDS)})")
    try:
        return _KINDS[kind](**values)
    except TypeError as error:
        raise UserError(f"a {kind} cannot be built from the keys {sorted(values)}: {error}") from None
