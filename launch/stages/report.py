"""The page that shows a finished run. Not private: it stays in `internal/`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from configs.files import read_json
from evaluation.figures import Chart, Series
from evaluation.report import ReportData, write_report
from evaluation.scores import ScorePoint, ScoreRow, StageCost
from launch.processes.ranks import Ranks
from launch.run.context import Context
from launch.run.release import read_images, software
from launch.run.stage import stage
from launch.stages.evolution.leading import leading
from launch.stages.query import read_histogram
from launch.stages.scores.feature_map import feature_map
from launch.stages.scores.features import CLASSIFIER_FEATURES, INCEPTION_FEATURES, classifier_features
from launch.stages.scores.similarities import similarities
from launch.training.metrics_log import read_metrics

AGAIN = "Remove the file and give the same command again to rebuild it."


@stage(
    needs=("evaluate",),
    uses=("query", "select", "evolve"),
    keys=("evaluate",),
    reads_sensitive=True,
    makes=("internal/report.html",),
)
def report(context: Context) -> str:
    """Write `internal/report.html`: samples, budget, scores, selection, curves and costs.

    Sensitive: shows sensitive test images and values that are not private.
    """
    config, plan, ledger = context.config, context.plan, context.ledger
    scores = read_json(context.directory.internal / "scores.json", AGAIN)
    alone = Ranks()  # the other processes of a job do not work on the report
    synthetic = read_images(context.outputs / "synthetic.npz")
    data = ReportData(
        run_name=config.run.name,
        method=config.method,
        sensitive_name=config.sensitive.name,
        public_name=config.public.name,
        records=plan.n,
        epsilon=ledger.epsilon(),
        delta=plan.delta,
        accountant=plan.accountant,
        target_epsilon=plan.epsilon,
        composed={name: plan.composed(name) for name in ("rdp", "prv")},
        groups=ledger.groups(),
        not_private=context.guarantee.notice or "",
        budget=plan.rows(),
        synthetic=synthetic,
        real_test=context.sensitive_test.exposed(),
        scores=[ScoreRow(**row) for row in scores["scores"]],
        frechet_features=CLASSIFIER_FEATURES,
        precision_features=scores["precision_features"],
        fid_reason=scores["fid_reason"],
        similarities=similarities(context, read_histogram(context) if context.has("query") else None),
        feature_map=feature_map(context, classifier_features(context, alone), synthetic, context.sensitive_test),
        selection=selection(context),
        public=context.public,
        evolution=leading(context.folder("evolve")) if context.has("evolve") else (),
        charts=[*charts(context), *score_charts([ScorePoint(**point) for point in scores["on_the_way"]])],
        stages=costs(context),
        software=software(),
    )
    path = context.directory.internal / "report.html"
    write_report(path, data)
    return str(path)


def selection(context: Context) -> dict[str, Any]:
    """The public categories that the query chose; {} if there was no query, or it chose nothing."""
    if not (context.has("query") and context.has("select")):
        return {}
    return read_json(context.folder("select") / "selection.json", AGAIN)


def charts(context: Context) -> list[Chart]:
    """The curves of the training stages."""
    classifier = read_metrics(context.metrics_folder("classifier"))
    pretrain = read_metrics(context.metrics_folder("pretrain"))
    finetune = read_metrics(context.metrics_folder("finetune"))
    spent = [budget_curve(context)] if context.plan.training_steps else []
    return [
        Chart(
            "Semantic classifier",
            "step",
            "cross-entropy",
            lines(classifier, {"train/loss": "training", "validation/loss": "validation"}),
        ),
        Chart(
            "Semantic classifier: accuracy",
            "step",
            "validation accuracy",
            lines(classifier, {"validation/accuracy": "validation"}),
        ),
        Chart("Pre-training", "step", "loss", lines(pretrain, {"train/loss": "training"}), log_y=True),
        Chart("Fine-tuning (not private)", "step", "loss", lines(finetune, {"loss": "sensitive batch"})),
        Chart(
            "Fine-tuning (not private): clipping",
            "step",
            "share of records clipped",
            lines(finetune, {"clipped_fraction": "clipped"}),
        ),
        Chart("Budget spent", "DP-SGD step", "ε", spent, limit=("target", context.plan.epsilon)),
    ]


def budget_curve(context: Context) -> Series:
    """ε after each DP-SGD step."""
    steps = range(1, context.plan.training_steps + 1)
    return Series("ε", list(steps), [context.plan.epsilon_after(step) for step in steps])


def score_charts(points: Sequence[ScorePoint]) -> list[Chart]:
    """Scores during fine-tuning against the ε spent by then. All points use the same number of images."""
    if not points:
        return []
    classifiers = list(dict.fromkeys(name for point in points for name in point.accuracies))
    curves = {
        "Accuracy": {name.upper(): [point.accuracies.get(name) for point in points] for name in classifiers},
        "Fréchet distance": {CLASSIFIER_FEATURES: [point.frechet for point in points]},
        "FID": {INCEPTION_FEATURES: [point.fid for point in points]},
        "Precision and recall": {
            "precision": [point.precision for point in points],
            "recall": [point.recall for point in points],
        },
        "Inception Score": {"Inception's classes": [point.inception_score for point in points]},
    }
    return [
        Chart(
            f"{title} during fine-tuning (not private), {points[0].count} images per point",
            "ε",
            title,
            [scored(name, points, values) for name, values in series.items() if any(v is not None for v in values)],
        )
        for title, series in curves.items()
    ]


def scored(name: str, points: Sequence[ScorePoint], values: Sequence[float | None]) -> Series:
    """The values that are not None, against ε."""
    pairs = [(point.epsilon, value) for point, value in zip(points, values, strict=True) if value is not None]
    return Series(name, [epsilon for epsilon, _ in pairs], [value for _, value in pairs])


def lines(curves: dict[str, list[tuple[int, float]]], names: dict[str, str]) -> Sequence[Series]:
    """The curves that exist.

    Args:
        curves: points (step, value) by name.
        names: titles of the wanted curves, by name.
    """
    return [
        Series(title, [step for step, _ in curves[name]], [value for _, value in curves[name]])
        for name, title in names.items()
        if curves.get(name)
    ]


def costs(context: Context) -> list[StageCost]:
    """Time and memory of each stage before this one."""
    before = [role for role in context.fingerprints if role != "report"]
    return [StageCost(name=role, **context.directory.cost(role)) for role in before]
