import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import UserError
from semantics.similarity import load_word_vectors, noisy_frequencies, semantic_distribution_similarity


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 6), st.floats(1e-3, 1e3))
def test_equals_the_double_sum_of_equation_5(seed, count_a, count_b, scale):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(count_a, 5)), rng.normal(size=(count_b, 5))
    f, g = rng.random(count_a) + 0.01, rng.random(count_b) + 0.01
    total = sum(f[i] / f.sum() * g[j] / g.sum() * cosine(a[i], b[j]) for i in range(count_a) for j in range(count_b))
    assert semantic_distribution_similarity(f, a, g, b) == pytest.approx(total, abs=1e-12)
    assert semantic_distribution_similarity(scale * f, a, g, b) == pytest.approx(total, abs=1e-12)
    assert semantic_distribution_similarity(g, b, f, a) == pytest.approx(total, abs=1e-12)


def test_one_semantic_is_as_similar_as_can_be_to_itself():
    assert semantic_distribution_similarity([2.0], [[3.0, 4.0]], [9.0], [[0.3, 0.4]]) == pytest.approx(1)


@pytest.mark.parametrize(
    "frequencies, embeddings",
    [([1.0, -0.1], np.eye(2)), ([0.0, 0.0], np.eye(2)), ([1.0], np.eye(2)), ([1.0, 1.0], [[0.0, 0.0], [1.0, 0.0]])],
)
def test_undefined_similarities_are_refused(frequencies, embeddings):
    with pytest.raises(ValueError):
        semantic_distribution_similarity(frequencies, embeddings, [1.0], [[1.0, 0.0]])


def test_noisy_counts_become_frequencies():
    np.testing.assert_allclose(noisy_frequencies(np.array([30, -12, 10])), [0.75, 0, 0.25])
    np.testing.assert_allclose(noisy_frequencies(np.array([-3, -12])), [0.5, 0.5])


GLOVE = """the 0.1 0.2 0.3
red 1 0 0
. . 9 9 9
panda 0 2 0
red squirrel@wood.org 7 7 7
zero 0 0 4
"""


@pytest.fixture
def glove(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text(GLOVE)
    return path


def test_vectors_of_names_of_one_and_several_words(glove):
    vectors, missing = load_word_vectors(glove, ["zero", "Red_Panda", "red unicorn", "unicorn"])
    np.testing.assert_allclose(vectors["zero"], [0, 0, 4])
    np.testing.assert_allclose(vectors["Red_Panda"], [0.5, 1, 0])
    np.testing.assert_allclose(vectors["red unicorn"], [1, 0, 0])
    assert missing == ("unicorn",)


def test_no_known_name_at_all(glove):
    with pytest.raises(UserError, match=r"evaluate\.word_vectors.*any of the 2"):
        load_word_vectors(glove, ["unicorn", "yeti"])


def test_missing_and_malformed_files(tmp_path, glove):
    with pytest.raises(UserError, match="no file at"):
        load_word_vectors(tmp_path / "absent.txt", ["zero"])
    glove.write_text(GLOVE.replace("0 0 4", "0 0"))
    with pytest.raises(UserError, match="line 6"):
        load_word_vectors(glove, ["zero"])
