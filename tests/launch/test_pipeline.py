"""Whole runs: their files, what they release of your own images, and what stays internal."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from accounting.composition import rdp_epsilon
from accounting.ledger import Ledger
from accounting.mechanisms import mechanism_from_dict
from launch.run.directory import RunDirectory
from launch.run.file_times import RELEASED_AT
from launch.training.metrics_log import read_metrics
from tests.launch.runs import (
    FIXED,
    RELEASE,
    draw_shapes,
    errors,
    finish,
    folder_words,
    privimage,
    released,
    run_words,
    same_release,
    statement,
    times,
)

pytestmark = pytest.mark.slow

STAGES = ["classifier", "query", "select", "pretrain", "finetune", "synthesize", "evaluate", "report"]
Copy = Callable[[Path], Path]


def test_a_run_leaves_what_the_design_says(finished: Path) -> None:
    assert {entry.name for entry in (finished / "release").iterdir()} == RELEASE
    assert {entry.name for entry in finished.iterdir()} == {
        ".lock", "config.yaml", "plan.json", "ledger.jsonl", "stages", "release", "internal"
    }  # fmt: skip
    directory = RunDirectory(finished)
    assert [name for name in STAGES if directory.marker(name)] == STAGES
    assert (finished / "internal" / "report.html").stat().st_size > 10_000
    assert json.loads((finished / "internal" / "scores.json").read_text())["scores"]
    for stage in ("classifier", "pretrain", "finetune"):
        assert read_metrics(finished / "internal" / "metrics" / stage)


def test_the_guarantee_is_what_its_mechanisms_compose_to(finished: Path) -> None:
    told = statement(finished)
    mechanisms = [mechanism_from_dict(values) for values in told["mechanisms"]]
    assert [mechanism.name for mechanism in mechanisms] == ["semantic query", "dp-sgd"]
    assert told["epsilon"] == pytest.approx(rdp_epsilon(mechanisms, told["delta"]), rel=1e-12)
    assert 9.9 <= told["epsilon"] <= 10 and told["delta"] == 5e-5 and told["private"] is True
    assert told["epsilon_by_accountant"]["prv"] < told["epsilon"]
    ledger = Ledger.read(finished / "ledger.jsonl")
    assert ledger.epsilon() == told["epsilon"] and ledger.mechanisms() == mechanisms
    assert ledger.contains(told["ledger_head"])


def test_what_is_released_is_what_was_asked_for(finished: Path) -> None:
    arrays = released(finished)
    assert arrays["images"].shape == (60, 8, 8, 1) and arrays["images"].dtype == np.uint8
    assert np.bincount(arrays["labels"]).tolist() == [6] * 10
    assert list(arrays["class_names"]) == list("0123456789")
    assert "notice" not in arrays


def test_scores_on_the_way_stand_against_the_epsilon_they_cost(finished: Path) -> None:
    scores = json.loads((finished / "internal" / "scores.json").read_text())
    points = scores["on_the_way"]
    assert [(point["step"], point["count"]) for point in points] == [(2, 60), (4, 60)]
    assert 0 < points[0]["epsilon"] < points[1]["epsilon"] == statement(finished)["epsilon"]
    for name in ("accuracies", "frechet", "fid", "precision", "recall"):  # the release, by as many images as it has
        assert points[-1][name] == scores["scores"][0][name]
    assert [path.name for path in (finished / "internal" / "snapshots").iterdir()] == ["step-00000002.png"]
    page = (finished / "internal" / "report.html").read_text()
    assert "Accuracy during fine-tuning (not private), 60 images per point" in page
    assert "Precision and recall during fine-tuning (not private), 60 images per point" in page


def test_the_report_shows_where_images_lie_and_how_alike_selections_are(finished: Path) -> None:
    page = (finished / "internal" / "report.html").read_text()
    assert "t-SNE of equally many of each" in page and ">synthetic</text>" in page
    rows = re.findall(r"<tr><td>(\d+ a category.*?|the whole public set)</td><td>(\d+)</td>", page)
    assert rows[0] == ("1 a category (this run)", "10") and rows[-1][0] == "the whole public set"
    scores = json.loads((finished / "internal" / "scores.json").read_text())
    assert scores["precision_features"] == "the semantic classifier's features"
    assert all(0 <= row[name] <= 1 for row in scores["scores"] for name in ("precision", "recall"))


def test_the_key_is_gone_when_the_last_private_stage_is_done(finished: Path) -> None:
    assert not (finished / "internal" / "key").exists()
    kinds = [(entry["kind"], entry.get("text")) for entry in Ledger.read(finished / "ledger.jsonl").entries]
    assert kinds[-1] == ("note", "run key destroyed")


def test_a_release_does_not_say_when_anything_was_done(folder_run: Path, copied: Copy, tmp_path: Path) -> None:
    """The duration of a private step depends on its batch, and the times of the ledger's lines depend on it too."""
    assert times(folder_run / "release") == {RELEASED_AT * 10**9}
    told = {line["time"][:10] for line in Ledger.read(folder_run / "ledger.jsonl").entries}
    for file in (folder_run / "release").iterdir():
        assert not any(day.encode() in file.read_bytes() for day in told), file
    path = copied(folder_run)
    (path / "release" / ".model.json.tmp").touch()  # a write that a crash cut short is removed, and the folder changes
    code, text = finish(folder_words(folder_run, FIXED, f"run.root={path.parent}", report=True), tmp_path / "output")
    assert code == 0, text
    assert times(path / "release") == {RELEASED_AT * 10**9}


def test_the_same_command_again_does_nothing(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    files = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}
    code, text = finish(run_words(path, report=True), tmp_path / "again")
    assert code == 0 and text.count("(done before)") == len(STAGES)
    changed = {file.name for file in files if file.stat().st_mtime_ns != files[file]}
    assert changed <= {".lock", "plan.json"}
    assert (path / "ledger.jsonl").read_bytes() == (finished / "ledger.jsonl").read_bytes()


def test_a_fixed_key_marks_everything_that_is_released(reference: Path) -> None:
    told = statement(reference)
    assert told["private"] is False and "NOT PRIVATE" in told["notice"]
    assert "NOT PRIVATE" in (reference / "release" / "PRIVACY.md").read_text()
    assert "NOT PRIVATE" in str(released(reference)["notice"])
    assert "NOT PRIVATE" in (reference / "release" / "model.json").read_text()
    assert "NOT PRIVATE" in (reference / "internal" / "report.html").read_text()
    assert "NOT PRIVATE" in reference.with_name("output").read_text()


def test_the_noise_is_never_the_same_twice(finished: Path, reference: Path) -> None:
    assert not same_release(finished, reference)


# --- your own images


def test_own_images_end_to_end(folder_run: Path) -> None:
    arrays, told = released(folder_run), statement(folder_run)
    assert arrays["images"].shape == (60, 8, 8, 3) and list(arrays["class_names"]) == ["bars", "discs"]
    assert told["records"] == 80 and told["delta"] == 1e-3
    assert 9.9 <= told["epsilon"] <= 10
    scores = json.loads((folder_run / "internal" / "scores.json").read_text())["scores"]
    assert 0 <= scores[0]["accuracies"]["lr"] <= 1


def test_the_console_tells_nothing_of_private_images(folder_run: Path) -> None:
    text = folder_run.with_name("output").read_text()
    private = re.findall(r"^  (?:query|finetune|evaluate|report) .*$", text, flags=re.MULTILINE)
    assert len(private) == 4
    for line in private:
        assert not re.search(r"\d s$|loss|accuracy|LR|FID|Fréchet|images/s|norm|clipped", line)
    scores = json.loads((folder_run / "internal" / "scores.json").read_text())["scores"]
    values = [value for row in scores for value in [*row["accuracies"].values(), row["frechet"]]]
    values += [row[name] for row in scores for name in ("precision", "recall") if row[name] not in (None, 0, 1)]
    for curve in read_metrics(folder_run / "internal" / "metrics" / "finetune").values():
        values += [value for _, value in curve if value % 1]
    secret = {f"{value:.{digits}f}" for value in values for digits in (3, 4)} | {f"{value:.1%}" for value in values}
    assert len(values) > 10
    shown = re.findall(r"\d+\.\d{3,}|\d+\.\d%", text[text.index("  query ") :])
    assert shown and not secret.intersection(shown)


def test_what_is_kept_from_the_console_is_in_internal(folder_run: Path) -> None:
    curves = read_metrics(folder_run / "internal" / "metrics" / "finetune")
    assert [step for step, _ in curves["loss"]] == [0, 1, 2, 3]
    assert {"records", "gradient_norm", "clipped_fraction"} <= curves.keys()
    assert json.loads((folder_run / "internal" / "costs" / "finetune.json").read_text())["seconds"] > 0


def test_the_release_does_not_hang_on_the_test_images(folder_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    draw_shapes(tmp_path / "data" / "train", seed=1, count=40)
    draw_shapes(tmp_path / "data" / "test", seed=3, count=12)
    there = folder_run.parent / "data"
    there.rename(folder_run.parent / "kept")  # the same paths, other test images
    (tmp_path / "data").rename(there)
    try:
        words = [word.replace(str(tmp_path / "data"), str(there)) for word in folder_words(path, FIXED)]
        code, text = finish(words, tmp_path / "output")
    finally:
        there.rename(tmp_path / "data")
        (folder_run.parent / "kept").rename(there)
    assert code == 0, text
    assert same_release(path, folder_run)
    for name in ("model.json", "PRIVACY.md"):
        one, two = ((run / "release" / name).read_text() for run in (path, folder_run))
        salted = r"ends in \w+|`\w{16}…`"
        assert re.sub(salted, "", one) == re.sub(salted, "", two)
    assert (path / "internal" / "scores.json").read_text() != (folder_run / "internal" / "scores.json").read_text()


@pytest.mark.parametrize("remedy", ["restored", "skipped"])
def test_a_corrupt_image_is_named_to_its_owner_before_anything_is_done(tmp_path: Path, remedy: str) -> None:
    path = tmp_path / "mine"
    draw_shapes(tmp_path / "data" / "train", seed=1, count=40)
    draw_shapes(tmp_path / "data" / "test", seed=2, count=5)
    file = tmp_path / "data" / "train" / "bars" / "3.png"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    code, text = finish(folder_words(path), tmp_path / "output")
    assert code == 2 and len(errors(text)) == 1
    names = path / "internal" / "unreadable-files.txt"
    assert errors(text)[0].startswith("sensitive.root: ") and f"'{names}'" in errors(text)[0]
    assert names.read_text().startswith("bars/3.png: ") and names.read_text().count("\n") == 1 and "3.png" not in text
    assert path.joinpath("internal").stat().st_mode & 0o077 == 0
    assert not (path / "stages").exists() and not (path / "ledger.jsonl").exists() and "classifier" not in text
    if remedy == "restored":
        file.write_bytes(whole)
    skip = ["sensitive.corrupt=skip"] if remedy == "skipped" else []
    code, text = finish(folder_words(path, *skip), tmp_path / "output")
    assert code == 0, text


def test_an_empty_test_split_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    draw_shapes(tmp_path / "data" / "train", seed=1, count=40)
    draw_shapes(tmp_path / "data" / "test", seed=2, count=0)
    code, text = finish(folder_words(path), tmp_path / "output")
    (said,) = errors(text)
    assert code == 2 and said.startswith("sensitive.test_root: no image is left for this split.")
    assert not (path / "stages").exists() and not (path / "ledger.jsonl").exists() and "classifier" not in text
    draw_shapes(tmp_path / "more", seed=2, count=5)
    code, text = finish(folder_words(path, f"sensitive.test_root={tmp_path}/more"), tmp_path / "output")
    assert code == 0, text


def test_a_folder_of_something_else_is_refused_before_the_images_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.mkdir()
    (path / "thesis.txt").touch()
    draw_shapes(tmp_path / "data" / "train", seed=1, count=4)
    draw_shapes(tmp_path / "data" / "test", seed=2, count=4)
    (tmp_path / "data" / "train" / "bars" / "3.png").write_text("no image")
    code, text = finish(folder_words(path, "finetune.batch_size=4", "privacy.delta=0.1"), tmp_path / "output")
    (said,) = errors(text)
    assert code == 2 and "is not a run" in said and not (path / "internal").exists()


def test_a_single_test_image_is_too_few_until_there_are_more(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    draw_shapes(tmp_path / "data" / "train", seed=1, count=40)
    draw_shapes(tmp_path / "data" / "test", seed=2, count=1)
    shutil.move(tmp_path / "data" / "test" / "bars", tmp_path / "bars")
    code, text = finish(folder_words(path), tmp_path / "output")
    assert code == 2 and len(errors(text)) == 1 and errors(text)[0].startswith("sensitive: ")
    shutil.move(tmp_path / "bars", tmp_path / "data" / "test" / "bars")
    assert finish(folder_words(path), tmp_path / "output")[0] == 0


def test_unconditional_queries_work_as_well(tmp_path: Path) -> None:
    path = tmp_path / "one"
    code, text = finish(run_words(path, "query.per_category=false", "-q"), tmp_path / "output")
    assert code == 0, text
    histogram = json.loads((path / "stages" / "query" / "histogram.json").read_text())["histogram"]
    assert np.shape(histogram) == (1, 129)


def test_a_run_may_end_early(tmp_path: Path) -> None:
    path = tmp_path / "part"
    assert privimage(*run_words(path, "stages=[classifier]", "-q")) == 0
    assert (path / "stages" / "classifier" / "done.json").exists() and not (path / "release").exists()
