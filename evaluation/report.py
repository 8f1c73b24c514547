"""The report page: one self-contained HTML file that shows a finished run.

Sensitive: it shows real images and scores without noise, so it is not private.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from evaluation.formatting import duration, number, percent, size
from evaluation.guessing import ADVICE, Guessing
from evaluation.scores import SCORE_NAMES, ScoreRow, Similarities, StageCost

SHOWN_IMAGES = 8  # per category in the sample grid
SHOWN_CATEGORIES = 20  # in the sample grid
SHOWN_SELECTED = 6  # selected public categories with examples, per sensitive category; of the others only the name
SHOWN_EXAMPLES = 3  # images of a selected public category


STATEMENTS = {  # template filters for the numbers of a guarantee
    "epsilon": epsilon_text,
    "target": target_text,
    "delta": delta_text,
    "noise": noise_text,
    "rate": rate_text,
    "sensitivity": sensitivity_text,
}


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that the page shows, as plain values.

    Sensitive: `real_test` and everything that is computed from it.
    """

    run_name: str
    """Title of the page."""
    method: str
    """Name of the run's method."""
    sensitive_name: str
    """Name of the sensitive set."""
    public_name: str
    """Name of the public set."""
    records: int
    """n, the number of sensitive records, public by declaration."""
    epsilon: float
    """Composed epsilon of all charges, under `accountant`."""
    delta: float
    """Delta of the guarantee."""
    accountant: str
    """The one that composes `epsilon`: "rdp" or "prv"."""
    target_epsilon: float
    """What the run may spend."""
    composed: Mapping[str, float]
    """Epsilon of the plan, by accountant."""
    groups: Sequence[Mapping[str, Any]]
    """`group_table` of the charges."""
    not_private: str
    """Why the run has no guarantee; '' if it has one."""
    budget: Sequence[Mapping[str, Any]]
    """`BudgetPlan.rows()`."""
    synthetic: ImageSet
    """The released images."""
    real_test: ImageSet
    """The sensitive test images."""
    scores: Sequence[ScoreRow]
    """Of this run first, then of the controls."""
    frechet_features: str
    """Description of the features of the Fréchet distance."""
    precision_features: str
    """Description of the features of precision and recall."""
    fid_reason: str
    """Why the FID is missing; '' if it is not."""
    similarities: Similarities | None
    """SDS of selections; None without a query."""
    feature_map: FeatureMap | None
    """Synthetic and real images by t-SNE; None if it is not available."""
    selection: Mapping[str, Sequence[Mapping[str, Any]]]
    """`selection_summary`; empty without a query."""
    public: LabelledImages | None
    """Public images with the labels that `selection` uses; None if they are not available."""
    evolution: Sequence[tuple[str, str]] = ()
    """For each round of Private Evolution, a caption and a picture as a data: URI."""
    charts: Sequence[Chart]
    """Curves of training and scores; internal ones too."""
    stages: Sequence[StageCost]
    """Time and memory of the stages, in order."""
    software: Mapping[str, str]
    """Versions by name."""


def write_report(path: str | Path, data: ReportData) -> None:
    """Write the page. Images and drawings are inside the file, and nothing is loaded from elsewhere.

    Raises:
        UserError: if the file cannot be written.

    Sensitive: the page shows real images and scores without noise, so it belongs in `internal/`.
    """
    atomic_text(Path(path), render_report(data))


def page_environment() -> Environment:
    """The environment of our page templates; every value that is put into a template is escaped."""
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
        guessing=Guessing.on(data.real_test.labels, len(data.real_test.class_names)),
        advice=ADVICE,
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
    """For each sensitive category, the first selected public ones with examples, and the names of the others."""
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
    """The first images of a category in one picture; None if there are no images."""
    chosen = first_of_class(images, label, count)
    if not len(chosen):
        return None
    picture = image_strip(chosen)
    return {"uri": data_uri(picture), "width": picture.width, "height": picture.height, "count": len(chosen)}
