import tempfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.mechanisms import GaussianQuery, SampledGaussian
from configs.errors import UserError
from datamodules.sets.image_set import ImageSet
from datamodules.sets.sensitive import SensitiveImages
from semantics.query import CheckedQuery, noisy_semantic_histogram
from tests.accounting.reserved import reserved

CATEGORIES = ("a", "b", "c")
SEMANTICS = 12


class LinearQuery:
    """The categories with the largest products of a fixed matrix and the pixels; whole numbers, so they are exact."""

    semantics = SEMANTICS

    def topk(self, images, k):
        weights = torch.from_numpy(np.random.default_rng(7).integers(-1000, 1000, (16, SEMANTICS)))
        return (images.flatten(1).long() @ weights).topk(k, dim=1).indices


class FixedQuery:
    """A faulty query function: answers for each image what it was made with, and zeros for others."""

    semantics = SEMANTICS

    def __init__(self, images, answers):
        self.answers = answers
        self.known = {image.tobytes(): answer for image, answer in zip(images.images, answers, strict=True)}

    def topk(self, images, k):
        found = np.zeros((len(images), *self.answers.shape[1:]), self.answers.dtype)
        for row, image in enumerate(images.numpy()):
            found[row] = self.known.get(image.tobytes(), 0)
        return torch.from_numpy(found)


def random_set(count, seed=0):
    rng = np.random.default_rng(seed)
    return ImageSet(rng.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8), rng.integers(0, 3, count), CATEGORIES)


def checked(query, k):
    return CheckedQuery(query, k, (1, 4, 4))


def counted(images, tmp_path, rank=0, world=1):
    """The raw counts of one process, before they are summed."""
    seen = []
    noisy_semantic_histogram(
        checked(LinearQuery(), 3),
        SensitiveImages(images),
        reserved(gaussian_query(3), tmp_path),
        per_category=True,
        over_ranks=lambda counts: seen.append(counts) or counts,
        share=lambda work: list(enumerate(work))[rank::world],
    )
    return seen[0]


@pytest.mark.parametrize("world", [2, 3, 5])
def test_the_counts_of_several_processes_add_up(tmp_path, world):
    images = random_set(700)
    parts = [counted(images, tmp_path / f"{rank}", rank=rank, world=world) for rank in range(world)]
    np.testing.assert_array_equal(sum(parts), counted(images, tmp_path / "alone"))


def gaussian_query(k, sigma=2.0):
    return GaussianQuery(name="semantic query", noise_multiplier=sigma, sensitivity=k**0.5)


def ask(query, images, k, *, sigma=2.0, per_category=True, insecure=True):
    with tempfile.TemporaryDirectory() as folder:
        access = reserved(gaussian_query(k, sigma), folder, insecure)
        return noisy_semantic_histogram(checked(query, k), SensitiveImages(images), access, per_category=per_category)


@settings(max_examples=20)
@given(st.integers(1, 300), st.integers(1, SEMANTICS), st.booleans(), st.data())
def test_one_record_moves_k_bins_of_its_row_by_one(count, k, per_category, data):
    images = random_set(count, seed=count)
    gone = data.draw(st.integers(0, count - 1))
    others = images.subset(np.delete(np.arange(count), gone))
    query = LinearQuery()

    moved = ask(query, images, k, per_category=per_category) - ask(query, others, k, per_category=per_category)

    expected = np.zeros_like(moved)
    row = images.labels[gone] if per_category else 0
    expected[row, query.topk(torch.from_numpy(images.images[gone : gone + 1]), k)[0].numpy()] = 1
    np.testing.assert_array_equal(moved, expected)
    assert np.linalg.norm(moved) == pytest.approx(gaussian_query(k).sensitivity)


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(0, 2**32))
def test_a_faulty_query_function_cannot_raise_the_sensitivity(k, seed):
    rng = np.random.default_rng(seed)
    images = random_set(9)
    answers = rng.integers(-3, SEMANTICS + 3, (9, k))  # bins named twice, bins that do not exist
    query = FixedQuery(images, answers)
    moved = ask(query, images, k) - ask(query, images.subset(range(1, 9)), k)
    assert np.linalg.norm(moved) <= k**0.5
    assert set(np.unique(moved)) <= {0, 1}
    kept = {bin for bin in answers[0] if 0 <= bin < SEMANTICS}
    assert set(np.flatnonzero(moved[images.labels[0]])) == kept


@pytest.mark.parametrize("per_category, rows", [(True, 3), (False, 1)])
def test_counts_are_those_of_a_direct_count(per_category, rows, tmp_path):
    images, query, k = random_set(600, seed=3), LinearQuery(), 4
    noise = reserved(gaussian_query(k), tmp_path).whole_noise(step=0, count=rows * SEMANTICS).reshape(rows, -1)

    counts = ask(query, images, k, per_category=per_category) - noise.astype(np.int64)

    expected = np.zeros((rows, SEMANTICS), dtype=np.int64)
    for image, label in zip(images.images, images.labels, strict=True):
        for best in query.topk(torch.from_numpy(image[None]), k)[0].tolist():
            expected[label if per_category else 0, best] += 1
    np.testing.assert_array_equal(counts, expected)


def test_result_is_integers_by_category():
    histogram = ask(LinearQuery(), random_set(20), 2)
    assert histogram.dtype == np.int64
    assert histogram.shape == (3, SEMANTICS)


def test_noise_has_the_std_of_the_mechanism_and_no_bin_is_spared():
    k, sigma = 9, 4.0

    class Wide(LinearQuery):
        semantics = 20_000

    nobody = random_set(0)
    noise = ask(Wide(), nobody, k, sigma=sigma, insecure=False).astype(float)
    assert noise.size == 3 * 20_000
    assert abs(noise.mean()) < 5 * sigma * k**0.5 / noise.size**0.5
    assert noise.std() == pytest.approx(sigma * k**0.5, rel=0.02)
    assert np.abs(np.corrcoef(noise)[np.triu_indices(3, 1)]).max() < 0.05


def test_noise_is_fresh_with_a_secret_key():
    images = random_set(20)
    first, second = (ask(LinearQuery(), images, 2, sigma=50.0, insecure=False) for _ in range(2))
    assert (first != second).mean() > 0.8


@pytest.mark.parametrize(
    "answers", [np.full((9, 3), 4321), np.full((9, 2), 4.321), np.full((9, 2), 43, dtype=np.int32), np.full(9, 4321)]
)
def test_answers_of_another_form_are_refused_without_showing_them(answers):
    images = random_set(9)
    with pytest.raises(UserError, match="topk") as refused:
        ask(FixedQuery(images, answers), images, 2)
    assert "43" not in str(refused.value)


@pytest.mark.parametrize("k", [0, SEMANTICS + 1])
def test_a_number_of_semantics_that_cannot_be_is_refused_before_anything_is_asked(k):
    with pytest.raises(UserError, match=r"query\.semantics"):
        checked(LinearQuery(), k)


class Placed(LinearQuery):
    """Gives other categories to the images at some places, or next to some other images."""

    def __init__(self, change):
        self.change = change

    def topk(self, images, k):
        rows = self.change(images).long()
        return (super().topk(images, k) + rows[:, None]) % SEMANTICS


class Rounded(LinearQuery):
    """Scores whose last bit depends on the place in a batch, although no category changes here."""

    def scores(self, images):
        return images.flatten(1).double() + 1e-9 * (torch.arange(len(images))[:, None] > 200)


@pytest.mark.parametrize(
    "change",
    [
        lambda images: torch.arange(len(images)) == 255,  # the last place
        lambda images: images.flatten(1).sum(1).roll(1) == 0,  # behind a black image
        lambda images: (images.float().mean() > 100).expand(len(images)),  # the mean of the batch
    ],
    ids=["place", "neighbour", "mean"],
)
def test_answers_that_depend_on_other_images_are_refused(change):
    with pytest.raises(
        UserError, match=r"^query: the query function's categories of an image change with its place in a batch"
    ):
        checked(Placed(change), 2)


def test_scores_that_depend_on_the_place_are_refused_though_the_categories_do_not():
    with pytest.raises(UserError, match=r"^query: the query function's scores of an image change with its place"):
        checked(Rounded(), 2)


def test_processes_are_known_to_answer_alike_by_a_fingerprint():
    class Other(LinearQuery):
        def topk(self, images, k):
            return super().topk(images, k).roll(1, dims=1)  # the same categories, another best one

    class Another(LinearQuery):
        def topk(self, images, k):
            return (super().topk(images, k) + 1) % SEMANTICS

    same = [checked(query(), 2).fingerprint for query in (LinearQuery, LinearQuery, Other)]
    assert len(set(same)) == 1 and checked(Another(), 2).fingerprint != same[0]


@pytest.mark.parametrize(
    "mechanism",
    [
        GaussianQuery(name="semantic query", noise_multiplier=2.0, sensitivity=1.0),
        SampledGaussian(name="dp-sgd", noise_multiplier=2.0, sensitivity=2**0.5, sampling_rate=0.1, steps=1),
    ],
)
def test_only_the_mechanism_that_was_paid_for_will_do(mechanism, tmp_path):
    access = reserved(mechanism, tmp_path)
    with pytest.raises(ValueError, match=r"sensitivity|GaussianQuery"):
        noisy_semantic_histogram(checked(LinearQuery(), 2), SensitiveImages(random_set(9)), access, per_category=True)
