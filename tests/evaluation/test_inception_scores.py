import numpy as np
import pytest

from evaluation import inception_scores as module
from evaluation.fid import FID, inception_score
from evaluation.inception import class_probabilities, inception_features, load_class_weights, load_inception
from evaluation.inception_scores import inception_scores
from evaluation.precision_recall import precision_recall
from tests.evaluation.inception_files import images


@pytest.mark.slow
def test_each_score_is_what_its_module_makes_of_the_features(random_inception, monkeypatch):
    monkeypatch.setattr(module, "fid", lambda one, other: FID(float(np.sum((one.mean - other.mean) ** 2)), ""))
    real, sets = images(1, 6, seed=1), [images(1, 6, seed=1), images(1, 5, seed=2), images(1, 2, seed=3)]
    asked = []

    def pooled(extract, part):
        asked.append(len(part))
        return extract(part)

    found = inception_scores(sets, real, random_inception, neighbours=3, pooled=pooled)
    assert asked == [6, 6, 5, 2]  # every image is looked at once
    network, class_weights = load_inception(random_inception), load_class_weights(random_inception)
    reference, *features = [inception_features(network, part) for part in (real, *sets)]
    for scores, rows in zip(found, features, strict=True):
        assert scores.fid.value == pytest.approx(np.sum((rows.mean(axis=0) - reference.mean(axis=0)) ** 2))
        assert scores.inception_score == pytest.approx(inception_score(class_probabilities(rows, class_weights)))
    for scores, rows in zip(found[:2], features, strict=False):
        assert (scores.precision, scores.recall) == precision_recall(rows, reference, 3)
    assert (found[0].precision, found[0].recall) == (1, 1)
    assert (found[2].precision, found[2].recall) == (None, None)  # two images have no third neighbour
