"""The rounds of Private Evolution: populations, and how the next one follows from the noisy votes for the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError
from configs.evolution import Evolution
from evolution.api import Checked
from evolution.resampling import RESAMPLING, smoothed, surplus
from evolution.samples import Samples
from evolution.streams import CHOOSE, FIRST, LOOK, RENDER, TRY, VARY, stream


@dataclass(frozen=True)
class Evolving:
    """How a run evolves its populations, one per category. Nothing here touches sensitive data."""

    evolution: Evolution
    """Settings of Private Evolution."""
    class_names: tuple[str, ...]
    """Names of the sensitive categories."""
    api: Callable[[int], Checked]
    """From the number of a round to the API that makes its candidates."""
    anyone: Callable[[], Checked]
    """Gives the API of the out-of-class candidates in round 0 (`share_at_random`), which any category may vote for."""
    embedding: Callable[[np.ndarray], Tensor]
    """From images uint8 [N, C, H, W] to features [N, F]."""
    noise: float
    """Standard deviation of the noise of a bin."""
    seed: int
    """Seed of all randomness. It is public: the populations follow from the noisy votes and the seed."""

    def degree(self, round: int) -> float:
        """How far candidates are varied after a round: from `degree_first` to `degree_last` in equal ratios."""
        first, last, rounds = self.evolution.degree_first, self.evolution.degree_last, self.evolution.rounds
        return first if rounds == 1 else first * (last / first) ** (round / (rounds - 1))

    def first(self) -> list[Samples]:
        """The population of round 0 (RANDOM_API)."""
        settings = self.evolution
        strange = min(round(settings.population * settings.share_at_random), settings.population - 1)
        strange = strange if settings.vote_for == "any" else 0
        population, anyone = [], self.anyone() if strange else None
        for category, name in enumerate(self.class_names):
            rng = self._rng(FIRST, 0, category)
            own = self.api(0).random(name, settings.population - strange, rng)
            population.append(own if anyone is None else with_strangers(own, anyone, name, strange, rng))
        return self.even(population, 0)

    def try_out(self, population: Sequence[Samples]) -> None:
        """Try a few variations in every round, the rendering at the end, and the features.

        So what cannot work is found before it is charged.

        Args:
            population: samples of each category, of which at most two are used.

        Raises:
            UserError: if one of them fails.
        """
        few = [samples.take(range(min(2, len(samples)))) for samples in population]
        for round in range(self.evolution.rounds):
            few = self.even(
                [
                    self.api(round).vary(samples, self.degree(round), self._rng(TRY, round, category))
                    for category, samples in enumerate(few)
                ],
                round,
            )
        if self.evolution.share_at_random:
            self.anyone().random(self.class_names[0], 2, self._rng(TRY, self.evolution.rounds, 0))
        self.rendered(few[0], np.full(len(few[0]), 1 / len(few[0])), 2, 0)
        self.embedding(few[0].images)

    def even(self, population: list[Samples], round: int) -> list[Samples]:
        """Check that samples have the same number of parameters in every category, and return them.

        Args:
            population: samples of each category.
            round: the round whose API made them, for the message.

        Raises:
            UserError: if the numbers differ.
        """
        found = {samples.parameters.shape[1]: name for samples, name in zip(population, self.class_names, strict=True)}
        if len(found) > 1:
            told = " and ".join(f"{count} for '{name}'" for count, name in found.items())
            raise UserError(
                f"evolution.api: the samples of {self.api(round).name} have {told} parameters; give the same number "
                "for every category, with zeros if one needs fewer."
            )
        return population

    def candidates(self, population: Sequence[Samples]) -> list[Samples]:
        """What the images of each category vote for: candidates of their own category, or all (`vote_for`)."""
        if self.evolution.vote_for == "own":
            return list(population)
        return [Samples.joined(population)] * len(population)

    def features(self, population: Sequence[Samples], round: int) -> list[Tensor]:
        """What the votes of a round compare: features of each category's `candidates`, one tensor [M, F] per category.

        Each candidate has its own features, or their mean over `look_ahead` variations of it.
        """
        found = [self._looked_at(samples, round, category) for category, samples in enumerate(population)]
        return found if self.evolution.vote_for == "own" else [torch.cat(found)] * len(found)

    def _looked_at(self, samples: Samples, round: int, category: int) -> Tensor:
        if self.evolution.look_ahead == 0:
            return self.embedding(samples.images)
        rng, degree = self._rng(LOOK, round, category), self.degree(round)
        varied = [
            self.embedding(self.api(round).vary(samples, degree, rng).images) for _ in range(self.evolution.look_ahead)
        ]
        return torch.stack(varied).mean(dim=0)

    def shares(self, histograms: Sequence[np.ndarray], features: Sequence[Tensor]) -> list[np.ndarray]:
        """The share of each candidate in what comes next: noisy votes, smoothed, cut at a threshold, scaled to sum 1.

        Args:
            histograms: noisy votes, one array float64 [M] per category.
            features: features of the candidates, one tensor [M, F] per category.

        Returns:
            One array float64 [M] per category.
        """
        settings = self.evolution
        threshold = settings.threshold * self.noise_of_average(features[0])
        if settings.vote_for == "any":  # all vote for the same candidates: find their neighbours once
            smooth = list(smoothed(np.stack(histograms, axis=1), features[0], settings.smooth).T)
        else:
            smooth = [smoothed(votes, each, settings.smooth) for votes, each in zip(histograms, features, strict=True)]
        return [surplus(votes, threshold) for votes in smooth]

    def noise_of_average(self, candidates: Tensor) -> float:
        """The standard deviation of the noise in an average of votes over `smooth` of the candidates [M, F]."""
        return self.noise / min(self.evolution.smooth, len(candidates)) ** 0.5

    def following(self, population: Sequence[Samples], shares: Sequence[np.ndarray], round: int) -> list[Samples]:
        """The population of the round after `round`: parents chosen by their shares, varied (VARIATION_API)."""
        candidates = self.candidates(population)
        return self.even(
            [
                self.offspring(samples, share, self.evolution.population, round, category)
                for category, (samples, share) in enumerate(zip(candidates, shares, strict=True))
            ],
            round + 1,
        )

    def offspring(self, samples: Samples, shares: np.ndarray, count: int, round: int, category: int) -> Samples:
        """`count` variations of candidates that are chosen by their shares."""
        choose = RESAMPLING[self.evolution.resample]
        parents = samples.take(choose(shares, count, self._rng(CHOOSE, round, category)))
        return self.api(round + 1).vary(parents, self.degree(round), self._rng(VARY, round, category))

    def rendered(self, samples: Samples, shares: np.ndarray, count: int, category: int, part: int = 0) -> Samples:
        """Images similar to the last population: variations of degree `degree_rendered`.

        Args:
            samples: the candidates of the last population.
            shares: their shares, float64 [M].
            count: number of images.
            category: index of the category.
            part: each part has other images, so that any number of images can be made.
        """
        settings, last = self.evolution, self.evolution.rounds - 1
        degree = settings.degree_last if settings.degree_rendered is None else settings.degree_rendered
        rng = self._rng(RENDER, last + part, category)
        parents = samples.take(RESAMPLING[settings.resample](shares, count, rng))
        return self.api(last).vary(parents, degree, rng)

    def labels(self, votes: np.ndarray, candidates: Tensor, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The category of each image by the noisy votes near it, and its margin.

        Args:
            votes: noisy votes float64 [M, categories] for the candidates (`vote_for="any"`).
            candidates: features of the candidates [M, F].
            images: uint8 [N, C, H, W].

        Returns:
            Categories int64 [N], and margins float64 [N]: the distance between the two highest averages of votes,
            divided by the standard deviation of the noise of such an average.
        """
        found = smoothed(votes, candidates, self.evolution.smooth, self.embedding(images))
        second, first = np.partition(found, -2, axis=1)[:, -2:].T
        return found.argmax(axis=1), (first - second) / self.noise_of_average(candidates)

    def _rng(self, purpose: int, round: int, category: int) -> np.random.Generator:
        return stream(self.seed, purpose, round, category)


def with_strangers(own: Samples, api: Checked, name: str, count: int, rng: np.random.Generator) -> Samples:
    """Candidates of a category, followed by out-of-class ones.

    Args:
        own: the candidates of the category.
        api: makes the out-of-class ones.
        name: name of the category.
        count: number of out-of-class candidates.
        rng: source of all randomness.

    Raises:
        UserError: if the two kinds have different numbers of parameters.
    """
    strangers = api.random(name, count, rng)
    if own.parameters.shape[1] != strangers.parameters.shape[1]:
        raise UserError(
            f"evolution.api: {api.name}.random({name!r}, …) gave samples with {own.parameters.shape[1]} "
            f"parameters, then with {strangers.parameters.shape[1]}; give the same number every time."
        )
    return Samples.joined([own, strangers])
