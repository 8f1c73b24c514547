"""The page that shows a finished run. NOT private: it stays in `internal/`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from configs.files import read_json
from datamodules.sources.source import Described, Semantics
from evaluation.figures import Chart, Series
from evaluation.report import ReportData, ScorePoint, ScoreRow, StageCost, write_report
from launch.context import Context
from launch.fitting import epsilon_after
from launch.guarantee import no_guarantee
from launch.metrics_log import read_metrics
from launch.release import read_images, software
from launch.stage import stage
from launch.stages.query import read_histogram
from semantics.similarity import WordVectors, load_word_vectors, noisy_frequencies, semantic_distribution_similarity

AGAIN = "Remove the file and give the same command again: it is made anew."


@stage(
    needs=("evaluate",),
    uses=("query", "select"),
    keys=("evaluate",),
    reads_sensitive=True,
    makes=("internal/report.html",),
)
def report(context: Context) -> str:
    """Write `internal/report.html`: samples, budget, scores, selection, curves and costs. SENSITIVE."""
    config, plan, ledger = context.config, context.plan, context.ledger
    scores = read_json(context.directory.internal / "scores.json", AGAIN)
    similarity, embedding = selection_similarity(context) if context.has("query") else (None, "")
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
        not_private=no_guarantee(config) or "",
        budget=plan.rows(),
        synthetic=read_images(context.outputs / "synthetic.npz"),
        real_test=context.sensitive_test,
        scores=[ScoreRow(**row) for row in scores["scores"]],
        frechet_features="the semantic classifier's features",
        fid_reason=scores["fid_reason"],
        similarity=similarity,
        similarity_embedding=embedding,
        selection=read_json(context.folder("select") / "selection.json", AGAIN) if context.has("query") else {},
        public=context.public,
        charts=[*charts(context), *score_charts([ScorePoint(**point) for point in scores["on_the_way"]])],
        stages=costs(context),
        software=software(),
    )
    path = context.directory.internal / "report.html"
    write_report(path, data)
    return str(path)


def selection_similarity(context: Context) -> tuple[float | None, str]:
    """SDS of the selection to the sensitive set (Eq. 5), and the embedding it is taken in.

    The sensitive set's semantics are what its source knows of it (CelebA: 40 attributes; NOT private), or else the
    public categories with the frequencies of the noisy histogram. None where no semantic of either set has a vector.
    """
    public = context.public_source.class_names
    selected = Semantics(public, selected_frequencies(context))
    sensitive = Semantics(public, noisy_frequencies(read_histogram(context).sum(axis=0)))
    path, source = context.config.evaluate.word_vectors, context.sensitive_source
    if path is None:
        vectors = context.trained_classifier().class_embeddings.numpy()
        value = semantic_distribution_similarity(sensitive.frequencies, vectors, selected.frequencies, vectors)
        return value, "the classifier's class embeddings"
    embedding = "word vectors"
    if isinstance(source, Described):
        sensitive = source.semantics()
        embedding += f" of the {len(sensitive.names)} attributes of {context.config.sensitive.name}"
    words = load_word_vectors(path, list(dict.fromkeys([*sensitive.names, *public])))
    if words.missing:
        embedding += f", {len(words.missing)} without a vector left out"
    embedded = with_vectors(sensitive, words), with_vectors(selected, words)
    if not all(frequencies.any() for frequencies, _ in embedded):
        return None, embedding
    return semantic_distribution_similarity(*embedded[0], *embedded[1]), embedding


def with_vectors(semantics: Semantics, words: WordVectors) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies [S] and vectors [S, D] of the semantics that have a vector."""
    known = [place for place, name in enumerate(semantics.names) if name in words.vectors]
    vectors = [words.vectors[semantics.names[place]] for place in known]
    return semantics.frequencies[known], np.array(vectors)


def selected_frequencies(context: Context) -> np.ndarray:
    """How many images of each public category were selected, [public categories]."""
    summary = read_json(context.folder("select") / "selection.json", AGAIN)
    chosen = [entry["label"] for entries in summary.values() for entry in entries]
    counts = np.bincount(context.public.labels, minlength=len(context.public.class_names)).astype(float)
    kept = np.zeros_like(counts)
    kept[chosen] = counts[chosen]
    return kept


def charts(context: Context) -> list[Chart]:
    """The curves of the training stages."""
    classifier = read_metrics(context.metrics_folder("classifier"))
    pretrain = read_metrics(context.metrics_folder("pretrain"))
    finetune = read_metrics(context.metrics_folder("finetune"))
    spent = [budget_curve(context)] if "finetune" in context.config.stages else []
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
        Chart("Pre-training", "step", "denoising loss", lines(pretrain, {"train/loss": "training"}), log_y=True),
        Chart("Fine-tuning (not private)", "step", "denoising loss", lines(finetune, {"loss": "sensitive batch"})),
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
    steps = range(1, context.config.finetune.steps + 1)
    epsilon = epsilon_after(context)
    return Series("ε", list(steps), [epsilon(step) for step in steps])


def score_charts(points: Sequence[ScorePoint]) -> list[Chart]:
    """Scores on the way through fine-tuning against the ε spent by then, each point from the same number of images."""
    if not points:
        return []
    classifiers = list(dict.fromkeys(name for point in points for name in point.accuracies))
    curves = {
        "Accuracy": {name.upper(): [point.accuracies.get(name) for point in points] for name in classifiers},
        "Fréchet distance": {"the semantic classifier's features": [point.frechet for point in points]},
        "FID": {"Inception's features": [point.fid for point in points]},
    }
    return [
        Chart(
            f"{title} on the way (not private), {points[0].count} images a point",
            "ε",
            title,
            [scored(name, points, values) for name, values in series.items() if any(v is not None for v in values)],
        )
        for title, series in curves.items()
    ]


def scored(name: str, points: Sequence[ScorePoint], values: Sequence[float | None]) -> Series:
    """The values that there are, against ε."""
    pairs = [(point.epsilon, value) for point, value in zip(points, values, strict=True) if value is not None]
    return Series(name, [epsilon for epsilon, _ in pairs], [value for _, value in pairs])


def lines(curves: dict[str, list[tuple[int, float]]], names: dict[str, str]) -> Sequence[Series]:
    """The named curves that there are."""
    return [
        Series(title, [step for step, _ in curves[name]], [value for _, value in curves[name]])
        for name, title in names.items()
        if curves.get(name)
    ]


def costs(context: Context) -> list[StageCost]:
    """What each stage before this one took."""
    before = [role for role in context.fingerprints if role != "report"]
    return [StageCost(name=role, **context.directory.cost(role)) for role in before]
