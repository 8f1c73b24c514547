"""The report page: one self-contained HTML file that shows a finished run. NOT private."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from accounting.statements import (
    delta_text,
    epsilon_text,
    noise_text,
    rate_text,
    sensitivity_text,
    target_text,
)
from configs.files import atomic_text
from datamodules.sets.image_set import ImageSet, LabelledImages
from evaluation.feature_map import FeatureMap, feature_map_svg
from evaluation.figures import Chart, Series, data_uri, first_of_class, image_strip, line_chart

SHOWN_IMAGES = 8  # per category in the sample grid
SHOWN_CATEGORIES = 20
SHOWN_SELECTED = 6  # selected public categories that are shown with examples; the others are named
SHOWN_EXAMPLES = 3
MISSING = "\N{EN DASH}"


STATEMENTS = {  # the filters of all that a guarantee is made of
    "epsilon": epsilon_text,
    "target": target_text,
    "delta": delta_text,
    "noise": noise_text,
    "rate": rate_text,
    "sensitivity": sensitivity_text,
}

SCORE_NAMES = {  # what a row may have beside accuracies, as headings
    "frechet": "Fréchet distance",
    "fid": "FID",
    "precision": "Precision",
    "recall": "Recall",
    "inception_score": "Inception Score",
}


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """Scores of one training set: accuracies in [0, 1] by classifier; distances, precision and recall against the real
    test images; the Inception Score, which takes none. None where there is no such score.
    """

    name: str
    accuracies: Mapping[str, float] = field(default_factory=dict)
    frechet: float | None = None
    fid: float | None = None
    precision: float | None = None
    recall: float | None = None
    inception_score: float | None = None


@dataclass(frozen=True, kw_only=True)
class ScorePoint(ScoreRow):
    """Scores of `count` images of the model after `step` DP-SGD steps, at the `epsilon` that they cost."""

    step: int
    epsilon: float
    count: int


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """What a stage took: wall time and peak memory (0 for a machine without GPU)."""

    name: str
    seconds: float
    peak_bytes: int
    gpu_peak_bytes: int = 0


@dataclass(frozen=True)
class SimilarityRow:
    """SDS of a choice of public categories to the sensitive set; share: of all public images, in [0, 1]."""

    name: str
    categories: int
    share: float
    similarity: float | None


@dataclass(frozen=True)
class Similarities:
    """own: SDS of this run's selection; rows: of other sizes of selection, and last of the whole public set.

    embedding: the words for what semantics are compared by. private: computed from the noisy histogram and public
    images alone, so it may be shown; else from what is known of the sensitive images without noise.
    """

    own: float | None
    rows: Sequence[SimilarityRow]
    embedding: str
    private: bool = True


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything the page shows, as plain values.

    epsilon: composed, under `accountant`; composed: epsilon by accountant's name; not_private: the reason why there is
    no guarantee, '' where there is one; groups: `group_table` of what was charged; budget: `BudgetPlan.rows()`;
    scores: this run first, then the controls;
    frechet_features, precision_features: the words for what the distance, and precision and recall, are taken in;
    similarities: SDS of selections, None where there is no query; feature_map: synthetic and real images by t-SNE;
    selection: `selection_summary`; public: images with the labels that `selection` speaks of; evolution: a caption and
    a picture's data: URI for each round of Private Evolution; charts: internal and public curves.
    `real_test` and all that is computed from it is sensitive.
    """

    run_name: str
    method: str
    sensitive_name: str
    public_name: str
    records: int
    epsilon: float
    delta: float
    accountant: str
    target_epsilon: float
    composed: Mapping[str, float]
    groups: Sequence[Mapping[str, Any]]
    not_private: str
    budget: Sequence[Mapping[str, Any]]
    synthetic: ImageSet
    real_test: ImageSet
    scores: Sequence[ScoreRow]
    frechet_features: str
    precision_features: str
    fid_reason: str
    similarities: Similarities | None
    feature_map: FeatureMap | None
    selection: Mapping[str, Sequence[Mapping[str, Any]]]
    public: LabelledImages | None
    evolution: Sequence[tuple[str, str]] = ()
    charts: Sequence[Chart]
    stages: Sequence[StageCost]
    software: Mapping[str, str]


def write_report(path: str | Path, data: ReportData) -> None:
    """Write the page; it belongs in `internal/`, for it shows real images and scores without noise.

    Images and drawings stand inside the file and nothing is fetched. Raises UserError where it cannot be written.
    """
    atomic_text(Path(path), render_report(data))


def page_environment() -> Environment:
    """Where the templates of our pages are and how they are read: everything put into them is escaped."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_report(data: ReportData) -> str:
    """The page as HTML. All names are escaped."""
    environment = page_environment()
    environment.filters |= {"number": number, "percent": percent, "size": size, "duration": duration, **STATEMENTS}
    return environment.get_template("report.html.j2").render(
        data=data,
        classifiers=list(dict.fromkeys(name for row in data.scores for name in row.accuracies)),
        error=lambda value: math.sqrt(value * (1 - value) / max(1, len(data.real_test))),
        headline=list(data.scores[0].accuracies.items())[-1] if data.scores and data.scores[0].accuracies else None,
        columns=[name for name in SCORE_NAMES if any(getattr(row, name) is not None for row in data.scores)],
        score_names=SCORE_NAMES,
        feature_map=Markup(feature_map_svg(data.feature_map)) if data.feature_map else "",
        similarity_chart=Markup(line_chart(_similarity_chart(data.similarities))) if data.similarities else "",
        samples=_samples(data),
        hidden_categories=max(0, len(data.synthetic.class_names) - SHOWN_CATEGORIES),
        selection=_selection(data),
        charts=[
            (chart.title, Markup(line_chart(chart))) for chart in data.charts if chart.series
        ],  # drawn by us, text escaped there
        total_seconds=sum(stage.seconds for stage in data.stages),
        gpu=any(stage.gpu_peak_bytes for stage in data.stages),
    )


def _similarity_chart(similarities: Similarities) -> Chart:
    """SDS against the share of the public images (PrivImage Figure 6, right)."""
    known = [(row.share, row.similarity) for row in similarities.rows if row.similarity is not None]
    series = Series("selections of this query", [share for share, _ in known], [value for _, value in known])
    return Chart("SDS by selection", "share of the public images that is selected", "SDS", [series])


def _samples(data: ReportData) -> list[dict[str, Any]]:
    return [
        {"name": name, "synthetic": _strip(data.synthetic, label), "real": _strip(data.real_test, label)}
        for label, name in enumerate(data.synthetic.class_names[:SHOWN_CATEGORIES])
    ]


def _selection(data: ReportData) -> list[dict[str, Any]]:
    """By sensitive category: the first selected public ones with examples, and the names of the others."""
    public = data.public
    return [
        {
            "name": name,
            "shown": [
                {**entry, "examples": _strip(public, entry["label"], SHOWN_EXAMPLES) if public else None}
                for entry in entries[:SHOWN_SELECTED]
            ],
            "others": [entry["category"] for entry in entries[SHOWN_SELECTED:]],
        }
        for name, entries in data.selection.items()
    ]


def _strip(images: LabelledImages, label: int, count: int = SHOWN_IMAGES) -> dict[str, Any] | None:
    """The first images of a class in one picture; None where there are none."""
    chosen = first_of_class(images, label, count)
    if not len(chosen):
        return None
    picture = image_strip(chosen)
    return {"uri": data_uri(picture), "width": picture.width, "height": picture.height, "count": len(chosen)}


def number(value: float | None, digits: int = 4) -> str:
    """A number to so many significant digits (or to its units, if large); a dash for none."""
    if value is None or not math.isfinite(value):
        return MISSING
    short = f"{value:.{digits}g}"
    whole = abs(value) >= 1000 or float(value).is_integer() or (abs(value) > 1 and "e" in short)
    return f"{value:,.0f}" if whole else short


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal."""
    return MISSING if value is None else f"{100 * value:.1f} %"


def size(value: int) -> str:
    """Bytes in the largest fitting binary unit."""
    unit = min(3, int(math.log(max(1, value), 1024)))
    return f"{number(value / 1024**unit, 3)} {('B', 'KiB', 'MiB', 'GiB')[unit]}" if value else MISSING


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
