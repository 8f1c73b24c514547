"""What a run says of its semantic classifier."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.launch.runs import finish, run_words


@pytest.mark.slow
def test_a_classifier_that_has_learnt_nothing_is_said_before_the_query_is_charged(tmp_path: Path) -> None:
    words = ["classifier.learning_rate=1e-12", "public.test_images_per_category=5", "stages=[classifier,query]"]
    code, text = finish(run_words(tmp_path / "run", *words), tmp_path / "output")
    assert code == 0 and "(guessing 0.8%)" in text
    assert text.index("hardly better than guessing") < text.index("noise multiplier 5")
