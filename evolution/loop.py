"""The rounds of Private Evolution: populations, and how one follows from the noisy votes for another."""

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
    """How a run evolves its populations, one a category. Nothing here touches sensitive data.

    api: what makes the candidates of a round. anyone: makes the first candidates that are of no category in particular
    (`share_at_random`), which any category may vote for. embedding: features [N, F] of images uint8 [N, C, H, W].
    noise: standard deviation of the noise of a bin. seed: of everything random, which is public: the populations follow
    from noisy votes and from it.
    """

    evolution: Evolution
    class_names: tuple[str, ...]
    api: Callable[[int], Checked]
    anyone: Callable[[], Checked]
    embedding: Callable[[np.ndarray], Tensor]
    noise: float
    seed: int

    def degree(self, round: int) -> float:
        """How far candidates are varied after a round: from `degree_first` to `degree_last` in even ratios."""
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
        """Ask for a variation or two in every round, for what is made in the end, and for features.

        UserError where that fails, so that what cannot work is found before it is paid for.
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
        """The population, whose samples have equally many parameters in every category, or a UserError."""
        found = {samples.parameters.shape[1]: name for samples, name in zip(population, self.class_names, strict=True)}
        if len(found) > 1:
            told = " and ".join(f"{count} for '{name}'" for count, name in found.items())
            raise UserError(
                f"evolution.api: the samples of {self.api(round).name} have {told} parameters; give equally many for "
                "every category, with zeros where one needs fewer."
            )
        return population

    def candidates(self, population: Sequence[Samples]) -> list[Samples]:
        """What the images of each category vote for: the candidates of their own, or all of them (`vote_for`)."""
        if self.evolution.vote_for == "own":
            return list(population)
        return [Samples.joined(population)] * len(population)

    def features(self, population: Sequence[Samples], round: int) -> list[Tensor]:
        """What the votes of a round compare, of the `candidates` of each category.

        Each candidate's own features, or their mean over `look_ahead` variations of it.
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
        """The share of each candidate in what comes next, from the noisy votes: smoothed, thresholded, scaled to 1."""
        settings = self.evolution
        threshold = settings.threshold * self.noise_of_average(features[0])
        if settings.vote_for == "any":  # all of the same candidates: their neighbours are found once
            smooth = list(smoothed(np.stack(histograms, axis=1), features[0], settings.smooth).T)
        else:
            smooth = [smoothed(votes, each, settings.smooth) for votes, each in zip(histograms, features, strict=True)]
        return [surplus(votes, threshold) for votes in smooth]

    def noise_of_average(self, candidates: Tensor) -> float:
        """The standard deviation of the noise in an average of votes over `smooth` of the candidates [M, F]."""
        return self.noise / min(self.evolution.smooth, len(candidates)) ** 0.5

    def following(self, population: Sequence[Samples], shares: Sequence[np.ndarray], round: int) -> list[Samples]:
        """The population of the round after `round`: chosen parents, varied (VARIATION_API)."""
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
        """`count` images like the last population's: variations of `degree_rendered`.

        As many as one likes: each `part` of them is another.
        """
        settings, last = self.evolution, self.evolution.rounds - 1
        degree = settings.degree_last if settings.degree_rendered is None else settings.degree_rendered
        rng = self._rng(RENDER, last + part, category)
        parents = samples.take(RESAMPLING[settings.resample](shares, count, rng))
        return self.api(last).vary(parents, degree, rng)

    def labels(self, votes: np.ndarray, candidates: Tensor, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The category of each of the images [N, C, H, W] by the noisy votes near it, and its lead; int64, float64 [N].

        votes: float64 [M, categories], those of the candidates with the features [M, F] (`vote_for="any"`). The lead is
        over the second category, in units of the noise of an average of votes.
        """
        found = smoothed(votes, candidates, self.evolution.smooth, self.embedding(images))
        second, first = np.partition(found, -2, axis=1)[:, -2:].T
        return found.argmax(axis=1), (first - second) / self.noise_of_average(candidates)

    def _rng(self, purpose: int, round: int, category: int) -> np.random.Generator:
        return stream(self.seed, purpose, round, category)


def with_strangers(own: Samples, api: Checked, name: str, count: int, rng: np.random.Generator) -> Samples:
    """Candidates of a category and `count` of none in particular; UserError where these differ in kind."""
    strangers = api.random(name, count, rng)
    if own.parameters.shape[1] != strangers.parameters.shape[1]:
        raise UserError(
            f"evolution.api: {api.name}.random({name!r}, …) gave samples with {own.parameters.shape[1]} "
            f"parameters, then with {strangers.parameters.shape[1]}; give equally many every time."
        )
    return Samples.joined([own, strangers])
