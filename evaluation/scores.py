"""What scores are of and what they are called: rows of the report, controls, costs of stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CONTROLS = {
    "before": "before fine-tuning: samples of the pre-trained model",
    "selected": "selected public images, relabelled",
    "by_name": "no private access: public categories of the same name",
}
"""The title of each control next to the synthetic images, by its name in `evaluate.controls`."""
EVOLVED = "renderings of the evolved candidates, before DP-SGD"
"""The title of `selected` if pre-training used evolved candidates: they are not public images, and cost the votes."""

SCORE_NAMES = {  # headings of the scores that a row may have in addition to accuracies
    "frechet": "Fréchet distance",
    "fid": "FID",
    "precision": "Precision",
    "recall": "Recall",
    "inception_score": "Inception Score",
}


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """Scores of one training set; None for a score that was not computed.

    Sensitive: all but the Inception Score are computed from the real test images.
    """

    name: str
    """Title of the row."""
    accuracies: Mapping[str, float] = field(default_factory=dict)
    """In [0, 1], by classifier, on the real test images."""
    frechet: float | None = None
    """Fréchet distance to the real test images, in a classifier's features."""
    fid: float | None = None
    """FID against the real test images."""
    precision: float | None = None
    """In [0, 1], against the real test images."""
    recall: float | None = None
    """In [0, 1], against the real test images."""
    inception_score: float | None = None
    """>= 1; does not use the real test images."""


@dataclass(frozen=True, kw_only=True)
class ScorePoint(ScoreRow):
    """Scores of images of the model during fine-tuning."""

    step: int
    """Number of DP-SGD steps that the model has learned."""
    epsilon: float
    """What the run has spent up to this step."""
    count: int
    """Number of scored images."""


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """Time and memory of a stage."""

    name: str
    """Of the stage."""
    seconds: float
    """Wall time."""
    peak_bytes: int
    """Peak memory of the process."""
    gpu_peak_bytes: int = 0
    """Peak memory on the GPU; 0 without a GPU."""


@dataclass(frozen=True)
class SimilarityRow:
    """SDS of a selection of public categories to the sensitive set."""

    name: str
    """Title of the row."""
    categories: int
    """Number of selected public categories."""
    share: float
    """Selected share of the public images, in [0, 1]."""
    similarity: float | None
    """SDS in [-1, 1]; None if it is undefined."""


@dataclass(frozen=True)
class Similarities:
    """SDS of selections to the sensitive set."""

    own: float | None
    """Of this run's selection, in [-1, 1]; None if it is undefined."""
    rows: Sequence[SimilarityRow]
    """Of selections of other sizes and, as the last row, of the whole public set."""
    embedding: str
    """Description of the vectors by which semantics are compared."""
    private: bool = True
    """Whether it is computed from the noisy histogram and public images only, and may be shown."""
