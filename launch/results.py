"""Send the results of a run to its dashboards: once, when its stages are done."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from configs.files import read_json
from evaluation.scores import SCORE_NAMES
from launch.run.context import Context
from launch.stages.scores.snapshots import grid_path
from launch.tracking.guard import ORIGINS, Origin
from launch.tracking.stage_logger import StageLogger
from launch.tracking.tracker import Tracker
from launch.training.metrics_log import read_metrics
from launch.training.snapshot_writer import snapshot_steps
from launch.training.trainer import POINTS

AGAIN = "Remove the file and give the same command again to rebuild it."


def send_results(context: Context) -> None:
    """Give every tracker what it may have and does not have yet: curves, budget, samples, scores, summary."""
    tracked = context.tracking.run
    for tracker in context.tracking.trackers:
        assert tracked is not None
        fingerprint = results_fingerprint(context, tracker)
        if tracked.state.sent(tracker.destination) == fingerprint:
            continue
        for send in (send_curves, send_budget, send_points, send_scores, send_summary):
            send(context, tracker)
        tracked.state.mark_sent(tracker.destination, fingerprint)
        if tracker.place:
            context.console.stage("see", tracker.place)


def results_fingerprint(context: Context, tracker: Tracker) -> str:
    """SHA-256 of everything that decides what a tracker gets, in hexadecimal digits."""
    admitted = [origin.name for origin in Origin if tracker.admits(origin)]
    return hashlib.sha256(json.dumps([context.fingerprints, admitted], sort_keys=True).encode()).hexdigest()


def send_curves(context: Context, tracker: Tracker) -> None:
    """Send the curves of the stages that were not shown live."""
    assert context.tracking.run is not None
    for stage, origin in ORIGINS.items():
        done = stage in context.fingerprints and context.directory.marker(stage) is not None
        if not done or context.tracking.run.state.shown_live(tracker.destination, stage):
            continue
        rows: dict[int, dict[str, float]] = defaultdict(dict)
        for step, value in public_curve(context, stage):
            rows[step]["epsilon"] = value
        if tracker.admits(origin):
            for name, values in read_metrics(context.metrics_folder(stage)).items():
                for step, value in values:
                    rows[step][name] = value
        logger = StageLogger(tracker.stage_logger(stage))
        for step, row in sorted(rows.items()):
            logger.log_metrics(row, step)
        logger.save()


def public_curve(context: Context, stage: str) -> list[tuple[int, float]]:
    """ε after each step of fine-tuning (or, of many, after some), as (step, ε). It depends only on the step."""
    epsilon, total = context.plan.epsilon_after, context.plan.training_steps
    if stage != "finetune" or not total:  # without noise there is no ε
        return []
    return [(step, epsilon(step + 1)) for step in {*range(0, total, max(1, total // POINTS)), total - 1}]


def send_budget(context: Context, tracker: Tracker) -> None:
    """Send the plan: public constants."""
    rows = context.plan.rows()
    if rows:
        tracker.table("budget", list(rows[0]), [list(row.values()) for row in rows])


def send_points(context: Context, tracker: Tracker) -> None:
    """Send scores and samples against ε: those of the snapshots and, as the last point, of the release."""
    if not (context.directory.release / "privacy.json").is_file():
        return
    total, epsilon = context.plan.training_steps, context.plan.epsilon_after
    values: dict[int, dict[str, float]] = {total: {}}
    if tracker.admits(Origin.SENSITIVE):
        scores = read_scores(context)
        for point in scores["on_the_way"]:
            values[point["step"]] = flat("scores", point)
        values[total] |= {name: value for row in scores["scores"][:1] for name, value in flat("release", row).items()}
    for step in sorted({*snapshot_steps(total, context.config.finetune.snapshots), total}):
        path = grid_path(context, step)
        picture = path if path.is_file() and tracker.admits(Origin.RELEASED) else None
        if picture is None and not values.get(step):
            continue
        spent = context.ledger.epsilon() if step == total else epsilon(step)
        tracker.point(step, spent, values.get(step, {}), picture)


def flat(prefix: str, row: dict[str, Any]) -> dict[str, float]:
    """The scores in a row of `scores.json`, by name.

    Args:
        prefix: begins each name.
        row: the row.
    """
    named = {f"accuracy/{name}": value for name, value in row["accuracies"].items()}
    named |= {name: row[name] for name in SCORE_NAMES if row.get(name) is not None}
    return {f"{prefix}/{name}": value for name, value in named.items()}


def send_scores(context: Context, tracker: Tracker) -> None:
    """Send the report's table of scores, of this run and of the controls."""
    rows = read_scores(context)["scores"]
    if not rows or not tracker.admits(Origin.SENSITIVE):
        return
    classifiers = list(dict.fromkeys(name for row in rows for name in row["accuracies"]))
    tracker.table(
        "report",
        ["trained on", *(name.upper() for name in classifiers), *SCORE_NAMES.values()],
        [
            [
                row["name"],
                *(row["accuracies"].get(name) for name in classifiers),
                *(row.get(name) for name in SCORE_NAMES),
            ]
            for row in rows
        ],
    )


def read_scores(context: Context) -> dict[str, Any]:
    """The scores of `evaluate`; empty ones before it is done.

    Sensitive: the scores have no noise.
    """
    path = context.directory.internal / "scores.json"
    return read_json(path, AGAIN) if path.is_file() else {"scores": [], "on_the_way": []}


def send_summary(context: Context, tracker: Tracker) -> None:
    """Send what the project's table of runs compares: method, guarantee and, if there is no ε, scores."""
    path = context.outputs / "privacy.json"
    if not path.is_file():
        return
    statement, method = read_json(path, AGAIN), Path(context.config.method).stem
    guarantee = {name: statement.get(name) for name in ("epsilon", "delta", "accountant", "private", "notice")}
    values = {name: value for name, value in guarantee.items() if value is not None} | {"method": method}
    if "epsilon" in statement:
        values["target_epsilon"] = context.plan.epsilon
    elif tracker.admits(Origin.SENSITIVE):
        for row in read_scores(context)["scores"][:1]:
            values |= flat("release", row)
    tracker.summary(values)
