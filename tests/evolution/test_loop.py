"""Rounds of votes and variations move a population to where the votes are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from configs.errors import UserError
from configs.evolution import Evolution
from evolution.api import Checked, EvolutionApi
from evolution.histogram import votes
from evolution.loop import Evolving
from evolution.samples import Samples
from tests.evolution.shapes import Flat, surroundings

TARGETS = (30.0, 200.0)


def gray(images: np.ndarray) -> Tensor:
    """The mean gray value, [N, 1]."""
    return torch.from_numpy(images.reshape(len(images), -1).mean(axis=1, keepdims=True)).float()


def evolving(**settings: object) -> Evolving:
    where = surroundings()
    return Evolving(
        evolution=Evolution(**{"rounds": 5, "population": 60, "degree_last": 0.1, **settings}),
        class_names=where.class_names,
        api=lambda round: Checked(Flat(), "Flat", where.image),
        anyone=lambda: Checked(Flat(), "Flat", where.image),
        embedding=gray,
        noise=0.0,
        seed=3,
    )


def made_by(api: EvolutionApi) -> Evolving:
    where = surroundings()
    return dataclasses.replace(evolving(), api=lambda round: Checked(api, type(api).__name__, where.image))


def evolved(setting: Evolving) -> tuple[list[Samples], list[np.ndarray]]:
    """The last population and shares after votes without noise."""
    rng = np.random.default_rng(0)
    sensitive = [gray(Flat.of(rng.normal(target, 3, 200)).images) for target in TARGETS]
    population = setting.first()
    shares: list[np.ndarray] = []
    for round in range(setting.evolution.rounds):
        if round:
            population = setting.following(population, shares, round - 1)
        seen = setting.features(population, round)
        counts = [votes(each, near, 1) for each, near in zip(sensitive, seen, strict=True)]
        shares = setting.shares(counts, seen)
    return population, shares


@pytest.mark.parametrize("resample", ["sample", "rank"])
@pytest.mark.parametrize("changes", [{}, {"look_ahead": 3}, {"smooth": 5}])
def test_it_finds_the_sensitive_images(resample: str, changes: dict[str, int]) -> None:
    setting = evolving(resample=resample, **changes)
    population, shares = evolved(setting)
    for category, target in enumerate(TARGETS):
        assert abs(gray(population[category].images).mean() - target) < 25  # the votes of earlier rounds moved it
        made = setting.rendered(population[category], shares[category], 500, category)
        assert abs(gray(made.images).mean() - target) < 12
        assert len(made) == 500


@pytest.mark.parametrize("smooth", [1, 7])
def test_votes_for_any_candidate_find_the_images_and_label_others(smooth: int) -> None:
    """Candidates of either category are parents of both, and images near the votes of one category get its label."""
    setting = dataclasses.replace(evolving(vote_for="any", smooth=smooth), noise=1e-3)
    population, shares = evolved(setting)
    every = Samples.joined(population)
    assert [len(share) for share in shares] == [120, 120]
    for category, target in enumerate(TARGETS):
        made = setting.rendered(setting.candidates(population)[category], shares[category], 500, category)
        assert abs(gray(made.images).mean() - target) < 12
    rng = np.random.default_rng(1)
    sensitive = [gray(Flat.of(rng.normal(target, 3, 200)).images) for target in TARGETS]
    (near, _) = setting.features(population, 4)
    noisy = np.stack([votes(each, near, 1) for each in sensitive], axis=1).astype(float)
    asked = Flat.of(np.array([28.0, 201.0, 32.0, 198.0])).images
    labels, lead = setting.labels(noisy, near, asked)
    assert labels.tolist() == [0, 1, 0, 1] and len(near) == len(every)
    distances = (gray(asked) - near.T).abs().argsort(dim=1, stable=True)[:, :smooth].numpy()
    by_hand = noisy[distances].mean(axis=1)
    if smooth == 1:  # of equally near candidates any may be among several
        assert lead == pytest.approx(np.abs(by_hand[:, 0] - by_hand[:, 1]) / 1e-3)
    assert (lead >= 0).all()


def test_candidates_of_no_category_are_among_the_first_where_any_may_be_voted_for() -> None:
    class Strange(Flat):
        def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
            return self.of(np.full(count, 77.0))

    where = surroundings()
    for vote_for, expected in (("own", 0), ("any", 24)):
        setting = evolving(vote_for=vote_for, share_at_random=0.4)
        setting = dataclasses.replace(setting, anyone=lambda: Checked(Strange(), "Strange", where.image))
        population = setting.first()
        assert [len(samples) for samples in population] == [60, 60]
        assert [int((samples.parameters == 77.0).sum()) for samples in population] == [expected] * 2


def test_strangers_with_other_parameters_are_one_message() -> None:
    class Wide(Flat):
        def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
            found = super().random(category, count, rng)
            return Samples(found.images, np.zeros((count, 3)))

    where = surroundings()
    setting = evolving(vote_for="any", share_at_random=0.4)
    setting = dataclasses.replace(setting, anyone=lambda: Checked(Wide(), "Wide", where.image))
    with pytest.raises(UserError, match=r"Wide\.random\('\w+', …\) gave samples with 1 parameters, then with 3"):
        setting.first()


def test_a_lead_is_in_units_of_the_noise() -> None:
    """If votes are only noise, the first of two categories leads by |N(0, 2)| times the noise."""
    setting = dataclasses.replace(evolving(vote_for="any", smooth=25), noise=4.0)
    values = np.linspace(0, 255, 20_000)
    near = torch.from_numpy(values)[:, None].float()
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 4, (len(values), 2))
    asked = Flat.of(np.linspace(0, 255, 256).round()).images
    _, lead = setting.labels(noise, near, asked)
    assert np.mean(lead**2) == pytest.approx(2, rel=0.4)


def test_what_is_made_in_the_end_may_be_spread_wider_than_the_rounds_ended() -> None:
    population, shares = evolved(evolving())
    spreads = []
    for degree in (None, 0.1, 0.9):
        setting = evolving(degree_rendered=degree)
        made = setting.rendered(population[0], shares[0], 400, 0)
        spreads.append(gray(made.images).std())
    assert spreads[0] == spreads[1] < spreads[2]  # default: degree_last, which is 0.1 here


def test_it_is_a_function_of_the_seed_and_the_votes() -> None:
    one, other = evolved(evolving()), evolved(evolving())
    assert all(np.array_equal(a.images, b.images) for a, b in zip(one[0], other[0], strict=True))
    assert not np.array_equal(one[0][0].images, one[0][1].images)


def test_degrees_fall_in_even_ratios() -> None:
    setting = evolving(rounds=3, degree_first=0.8, degree_last=0.2)
    assert [setting.degree(round) for round in range(3)] == pytest.approx([0.8, 0.4, 0.2])
    assert evolving(rounds=1, degree_first=0.7).degree(0) == 0.7


class Uneven(Flat):
    """Bright categories have more parameters."""

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        samples = super().random(category, count, rng)
        width = 1 + (category == surroundings().class_names[0])
        return Samples(samples.images, np.repeat(samples.parameters, width, axis=1))


class Broken(Flat):
    """Cannot vary."""

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        return Samples.of_images(samples.images[:, :, :2])


def test_categories_must_have_equally_many_parameters() -> None:
    with pytest.raises(
        UserError, match=r"evolution\.api: the samples of Uneven have 2 for '.*' and 1 for '.*' parameters"
    ):
        made_by(Uneven()).first()


def test_an_api_of_a_later_round_is_tried_out_before_it_is_needed() -> None:
    where, apis = surroundings(), [Flat(), Flat(), Broken()]
    setting = dataclasses.replace(evolving(rounds=3), api=lambda round: Checked(apis[round], "Mine", where.image))
    with pytest.raises(UserError, match=r"Mine\.vary"):
        setting.try_out(setting.first())
    dataclasses.replace(setting, evolution=Evolution(rounds=2, population=60)).try_out(setting.first())


def test_an_api_that_works_in_place_changes_nothing_of_ours() -> None:
    class InPlace(Flat):
        def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
            samples.images[:] = 0
            samples.parameters[:] = 0
            return samples

    setting = made_by(InPlace())
    population = setting.first()
    before = [samples.images.copy() for samples in population]
    setting.following(population, [np.full(60, 1 / 60)] * len(population), 0)
    assert all(np.array_equal(samples.images, kept) for samples, kept in zip(population, before, strict=True))
