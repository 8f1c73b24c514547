"""Scores of the synthetic images and of the controls. Not private: they stay in `internal/`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict

from configs.errors import UserError
from configs.files import atomic_json
from datamodules.progress import track
from datamodules.sets.image_set import ImageSet, LabelledImages, balanced_sample
from datamodules.sets.sensitive import SensitiveImages
from evaluation.classifiers import classification_accuracy
from evaluation.guessing import Guessing
from evaluation.scores import CONTROLS, EVOLVED, ScoreRow
from launch.run.context import Context
from launch.run.release import read_images
from launch.run.stage import stage
from launch.stages.pretrain import pretrained
from launch.stages.scores.features import FeatureScores, classifier_features, feature_scores
from launch.stages.scores.kept_accuracies import Accuracies, KeptAccuracies
from launch.stages.scores.snapshots import draws_from_model, points, sampled
from launch.stages.select import read_selection
from semantics.by_name import public_only_set

SYNTHETIC = "synthetic images (this run)"
LEAST = 2  # test images; fewer have no covariance


@stage(
    needs=("classifier", "synthesize"),
    uses=("select", "pretrain", "finetune"),
    keys=("evaluate", "selection", "sensitive"),
    reads_sensitive=True,
    shared=True,
    makes=("internal/scores.json",),
)
def evaluate(context: Context) -> str:
    """Accuracy, Fréchet distances, precision and recall against the sensitive test set.

    Nothing is chosen by these numbers.

    Raises:
        UserError: if there are fewer than `LEAST` test images.

    Source: PrivImage §4.3.

    Sensitive: computed from sensitive test images without noise; the guarantee does not cover the scores.
    """
    test = context.sensitive_test
    if len(test) < LEAST:
        raise UserError(
            f"sensitive: fewer than {LEAST} test images, so scores cannot be computed. Add some to the test folder "
            "(sensitive.test_root) and give the same command again; the release is finished already."
        )
    sets = training_sets(context)
    on_the_way = {point.name: point for point in points(context, sets[SYNTHETIC])}
    every = sets | {name: point.images for name, point in on_the_way.items()}
    extract = classifier_features(context, context.ranks)
    from_features = feature_scores(context, extract, every, [SYNTHETIC, *on_the_way], test)
    rows = score_rows(context, every, from_features, test)
    guessing = Guessing.on(test.exposed().labels, len(test.class_names))
    scores = {
        "notice": "NOT private: computed from sensitive test images without noise.",
        "scores": [asdict(rows[name]) for name in sets],
        "guessing": asdict(guessing),
        "fid_reason": from_features.fid_reason,
        "precision_features": from_features.precision_features,
        "on_the_way": [asdict(rows[name]) | point.place for name, point in on_the_way.items()],
    }
    if context.ranks.first:
        atomic_json(context.directory.internal / "scores.json", scores)
        kept_accuracies(context).forget()
    if not context.sensitive_source.public_benchmark:
        return "scores are in internal/ (not shown: they are computed from sensitive images without noise)"
    return f"trained on synthetic, tested on {len(test)} real: {in_words(rows[SYNTHETIC].accuracies, guessing)}"


def in_words(accuracies: Mapping[str, float], guessing: Guessing) -> str:
    """The accuracies, next to that of guessing.

    Args:
        accuracies: by classifier; none if there is only one category.
        guessing: on the same test images.
    """
    if not accuracies:
        return "no accuracy, since there is one category"
    shown = ", ".join(f"{name.upper()} {value:.1%}" for name, value in accuracies.items())
    best = f"guessing {max(guessing.chance, guessing.largest):.1%}"
    return f"{shown} ({best})" if guessing.beaten_by(accuracies.values()) else f"{shown}, no better than {best}"


def training_sets(context: Context) -> dict[str, ImageSet]:
    """The sets on which classifiers are trained, by name: the synthetic images, then the controls, equally many."""
    synthetic = read_images(context.outputs / "synthetic.npz")
    sets: dict[str, LabelledImages | None] = {SYNTHETIC: synthetic}
    for name in context.config.evaluate.controls:
        evolved = name == "selected" and "select_evolved" in context.config.stages
        sets[EVOLVED if evolved else CONTROLS[name]] = MAKE[name](context, len(synthetic))
    seed = context.config.run.seed
    return {
        name: balanced_sample(images, len(synthetic), seed).in_memory()
        for name, images in sets.items()
        if images is not None
    }


def selection_as_it_is(context: Context, count: int) -> LabelledImages | None:
    """The selected public images, if they are labelled with the sensitive categories; otherwise None."""
    selection = read_selection(context) if context.has("select") else None
    return selection if selection is not None and selection.class_names == context.class_names else None


def sampled_before(context: Context, count: int) -> ImageSet | None:
    """Images of the pre-trained model before DP-SGD (PrivImage Figure 6, left); None if the run has no such model."""
    if not (context.has("pretrain") and context.has("finetune") and draws_from_model(context.config)):
        return None
    return sampled(context, pretrained(context), "before", count)


def public_by_name(context: Context, count: int) -> LabelledImages | None:
    """Public images of the categories with a sensitive category's name, or of those in `selection.names`, or None."""
    return public_only_set(context.public, context.class_names, context.config.selection.names)


MAKE: dict[str, Callable[[Context, int], LabelledImages | None]] = {
    "before": sampled_before,
    "selected": selection_as_it_is,
    "by_name": public_by_name,
}
"""For each of `CONTROLS` the function that makes it, from the context and a number of images; None if it cannot."""


def score_rows(
    context: Context, sets: dict[str, ImageSet], from_features: FeatureScores, test: SensitiveImages
) -> dict[str, ScoreRow]:
    """All scores of each set, by name.

    Args:
        sets: training sets by name.
        from_features: their scores from features.
        test: sensitive test images.
    """
    accuracies = accuracies_of(context, sets, test)
    return {name: ScoreRow(name=name, accuracies=accuracies[name], **from_features.rows[name]) for name in sets}


def accuracies_of(context: Context, sets: dict[str, ImageSet], test: SensitiveImages) -> dict[str, Accuracies]:
    """Accuracies of the classifiers that are trained on each set, by set. Each is kept as soon as it is known.

    The processes of a job divide the trainings among them.
    """
    ranks, settings, show = context.ranks, context.config.evaluate, context.console.progress
    kept = kept_accuracies(context)
    every = [(name, classifier) for name in sets for classifier in settings.classifiers]
    before = {one: found for one in every if (found := kept.find(*one)) is not None} if ranks.first else {}
    known = ranks.broadcast(before)
    work = [one for one in every if one not in known]
    mine: dict[tuple[str, str], Accuracies] = {}
    share = track(ranks.share(work), "evaluate", total=ranks.count(work), unit="classifier", show=show)
    for number, (name, classifier) in share:
        if takes_long(context, classifier) and not sys.stderr.isatty():  # a log file has no bar
            context.console.stage("evaluate", f"training {classifier} on {name}, {number + 1} of {len(work)}")
        mine[name, classifier] = classification_accuracy(
            [classifier],
            sets[name],
            test.exposed(),
            settings.holdout_fraction,
            context.config.run.seed,
            context.device,
            settings.training,
            progress=show,
        )
        kept.keep(name, classifier, mine[name, classifier])
    for part in ranks.all_gather(mine):
        known |= part
    return {
        name: {key: value for one in settings.classifiers for key, value in known[name, one].items()} for name in sets
    }


def takes_long(context: Context, classifier: str) -> bool:
    """Whether a classifier is one of DPImageBench's, which train for minutes on a GPU and half an hour without one."""
    return hasattr(context.config.evaluate.training, classifier)


def kept_accuracies(context: Context) -> KeptAccuracies:
    """The accuracies that this evaluation has computed so far."""
    return KeptAccuracies(context.directory.internal / "accuracies", context.fingerprints["evaluate"])
