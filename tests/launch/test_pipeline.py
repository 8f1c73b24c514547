"""Whole runs: what they leave, how they are stopped and go on, what they refuse and what they keep to themselves."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from accounting.composition import rdp_epsilon
from accounting.ledger import Ledger
from accounting.mechanisms import mechanism_from_dict
from launch.metrics_log import read_metrics
from launch.run_directory import RunDirectory
from tests.launch.runs import (
    FIXED,
    RELEASE,
    Child,
    at,
    charges,
    die,
    errors,
    fill_disk,
    finish,
    generations,
    privimage,
    released,
    run_words,
    same_release,
)

STAGES = ["classifier", "query", "select", "pretrain", "finetune", "synthesize", "evaluate", "report"]
Copy = Callable[[Path], Path]


def statement(path: Path) -> dict:
    return json.loads((path / "release" / "privacy.json").read_text())


# --- a run without interruption


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


def test_the_key_is_gone_when_the_last_private_stage_is_done(finished: Path) -> None:
    assert not (finished / "internal" / "key").exists()
    kinds = [(entry["kind"], entry.get("text")) for entry in Ledger.read(finished / "ledger.jsonl").entries]
    assert kinds[-1] == ("note", "run key destroyed")


def test_the_same_command_again_does_nothing(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    files = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}
    code, text = finish(run_words(path), tmp_path / "again")
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


# --- killed and started again

POINTS: list[tuple[str, int, bool]] = [  # path, which of its durable writes, and whether it was done
    ("*/config.yaml", 1, False),
    ("*/ledger.jsonl", 1, False),  # the line that opens it
    ("*/classifier/checkpoints-*/step-00000002.ckpt", 1, False),
    ("*/classifier/checkpoints-*/step-00000003.ckpt", 1, True),
    ("*/classifier/done.json", 1, False),
    ("*/ledger.jsonl", 1, True),  # the query is reserved, and not started
    ("*/query/histogram.json", 1, False),
    ("*/query/histogram.json", 1, True),
    ("*/select/images", 1, False),
    ("*/pretrain/checkpoints-*/step-00000003.ckpt", 1, False),
    ("*/pretrain/model.safetensors", 1, False),
    ("*/ledger.jsonl", 2, True),  # the fine-tuning is reserved and started
    ("*/finetune/checkpoints-*/step-00000002.ckpt", 1, False),
    ("*/finetune/checkpoints-*/step-00000002.ckpt", 1, True),  # durable, and not yet in the ledger
    ("*/ledger.jsonl", 3, True),
    ("*/finetune/model.safetensors", 1, False),
    ("*/finetune/done.json", 1, True),
    ("*/release/model.safetensors", 1, False),
    ("*/release/synthetic.npz", 1, False),
    ("*/release/privacy.json", 1, False),
    ("*/internal/scores.json", 1, False),
    ("*/internal/report.html", 1, False),
]


def killed_everywhere(path: Path, *overrides: str) -> None:
    """Start a run again and again, each time killed at the next of POINTS, then let it finish."""
    for pattern, count, after in POINTS:
        child = Child(run_words(path, *overrides), path.with_name("output"), at(pattern, die, count=count, after=after))
        assert child.wait() == -signal.SIGKILL, (pattern, child.text)
    code, text = finish(run_words(path, *overrides), path.with_name("output"))
    assert code == 0, text


def test_killed_at_every_stage_a_run_ends_with_the_same_bits(tmp_path: Path, reference: Path) -> None:
    path = tmp_path / "fixed"
    killed_everywhere(path, FIXED)
    assert same_release(path, reference)
    assert statement(path)["epsilon"] == statement(reference)["epsilon"]
    assert charges(path) == ["semantic query", "dp-sgd"]
    assert {entry.name for entry in (path / "release").iterdir()} == RELEASE


def test_killed_at_every_stage_a_run_ends_with_the_same_epsilon(tmp_path: Path, finished: Path) -> None:
    path = tmp_path / "whole"
    killed_everywhere(path)
    assert statement(path)["epsilon"] == statement(finished)["epsilon"]
    assert charges(path) == ["semantic query", "dp-sgd"]
    for mechanism in ("semantic query", "dp-sgd"):
        started = generations(path, mechanism)
        assert len(started) > 1 and sorted(set(started)) == started
    assert not (path / "internal" / "key").exists()


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_a_random_moment_a_run_ends_with_the_same_bits(tmp_path: Path, reference: Path, seed: int) -> None:
    path = tmp_path / "fixed"
    moments = random.Random(seed)
    for _ in range(3):
        child = Child(run_words(path, FIXED), tmp_path / "output")
        time.sleep(moments.uniform(0, 0.7))
        child.send(signal.SIGKILL)
        child.wait()
    code, text = finish(run_words(path, FIXED), tmp_path / "output")
    assert code == 0, text
    assert same_release(path, reference)
    assert statement(path)["epsilon"] == statement(reference)["epsilon"]


def test_a_new_process_goes_on_where_a_killed_one_was(tmp_path: Path, reference: Path) -> None:
    """The real command in a process of its own, killed during fine-tuning."""
    path = tmp_path / "fixed"
    command = [sys.executable, "-m", "launch.cli", *run_words(path, FIXED)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(path.glob("stages/finetune/*/step-*.ckpt")):
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL and not (path / "release").exists()
    assert finish(run_words(path, FIXED), tmp_path / "output")[0] == 0
    assert same_release(path, reference)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_run_with_a_checkpoint(tmp_path: Path, reference: Path, number: signal.Signals) -> None:
    path = tmp_path / "fixed"
    before = at("*/finetune/*/step-00000002.ckpt", lambda: os.kill(os.getpid(), number))
    words = run_words(path, FIXED, "launch.checkpoint_minutes=0")
    code, text = finish(words, tmp_path / "output", before)
    assert code == 128 + number
    assert errors(text)[-1] == f"stopped by {number.name}; the same command goes on from here"
    assert (path / "stages" / "pretrain" / "done.json").exists()
    assert not (path / "stages" / "finetune" / "done.json").exists()
    assert list(path.glob("stages/finetune/*/step-0000000[23].ckpt"))
    assert finish(words, tmp_path / "output")[0] == 0
    assert same_release(path, reference)


def test_a_signal_between_checkpoints_makes_one(tmp_path: Path, reference: Path) -> None:
    path = tmp_path / "fixed"
    words = run_words(path, FIXED, "launch.checkpoint_minutes=60")  # none is due before the end
    before = at("*/ledger.jsonl", lambda: os.kill(os.getpid(), signal.SIGTERM), count=5, after=True)
    code, text = finish(words, tmp_path / "output", before)
    assert code == 128 + signal.SIGTERM, text
    assert finish(words, tmp_path / "output")[0] == 0
    assert same_release(path, reference)


# --- damage


def killed_at(path: Path, pattern: str, *overrides: str) -> None:
    child = Child(run_words(path, *overrides), path.with_name("output"), at(pattern, die, after=True))
    assert child.wait() == -signal.SIGKILL, child.text


def test_a_truncated_checkpoint_gives_way_to_the_one_before(tmp_path: Path, reference: Path) -> None:
    path = tmp_path / "fixed"
    killed_at(path, "*/pretrain/*/step-00000003.ckpt", FIXED)
    newest = max(path.glob("stages/pretrain/*/step-*.ckpt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    code, text = finish(run_words(path, FIXED), tmp_path / "output")
    assert code == 0 and errors(text) == []
    assert f"warning: the checkpoint '{newest}' is damaged" in text
    assert same_release(path, reference)


def test_a_truncated_checkpoint_of_a_private_stage_costs_its_steps(tmp_path: Path, finished: Path) -> None:
    """Steps that were published are neither run again nor charged again."""
    path = tmp_path / "whole"
    killed_at(path, "*/finetune/*/step-00000003.ckpt")
    published = Ledger.read(path / "ledger.jsonl").published("dp-sgd")
    for newer in sorted(path.glob("stages/finetune/*/step-*.ckpt"))[1:]:
        newer.write_bytes(b"")
    code, text = finish(run_words(path), tmp_path / "output")
    assert code == 0, text
    assert f"the ledger has {published} published steps of 'dp-sgd'" in text
    assert statement(path)["epsilon"] == statement(finished)["epsilon"]


def test_a_tampered_ledger_is_refused(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    ledger = path / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"noise_multiplier":5.0', '"noise_multiplier":9.0'))
    code, text = finish(run_words(path), tmp_path / "output")
    assert code == 2
    assert len(errors(text)) == 1 and "ledger.jsonl, line 2: its contents do not fit its hash" in errors(text)[0]


@pytest.mark.parametrize("kept", [0, 1, 4, 8])
def test_a_shortened_ledger_is_refused(finished: Path, copied: Copy, tmp_path: Path, kept: int) -> None:
    path = copied(finished)
    lines = (path / "ledger.jsonl").read_text().splitlines(keepends=True)
    (path / "ledger.jsonl").write_text("".join(lines[:kept]))
    code, text = finish(run_words(path), tmp_path / "output")
    assert code == 2
    assert len(errors(text)) == 1 and "the ledger was shortened or replaced" in errors(text)[0]


def test_a_lost_ledger_is_refused(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    (path / "ledger.jsonl").unlink()
    code, text = finish(run_words(path), tmp_path / "output")
    assert code == 2 and len(errors(text)) == 1
    assert "ledger.jsonl' is gone" in errors(text)[0] and not (path / "ledger.jsonl").exists()


@pytest.mark.parametrize("pattern", ["*/query/histogram.json", "*/finetune/*/step-00000002.ckpt"])
def test_a_ledger_shorter_than_an_unfinished_stage_knows_is_refused(tmp_path: Path, pattern: str) -> None:
    """A histogram or a checkpoint that was paid for is not used on a ledger that does not hold the charge."""
    path = tmp_path / "whole"
    killed_at(path, pattern)
    lines = (path / "ledger.jsonl").read_text().splitlines(keepends=True)
    charge = max(index for index, line in enumerate(lines) if '"kind":"reserve"' in line)
    (path / "ledger.jsonl").write_text("".join(lines[:charge]))
    code, text = finish(run_words(path), tmp_path / "output")
    assert code == 2, text
    assert "the ledger was shortened or replaced" in errors(text)[0]


def test_a_torn_last_line_is_set_aside(tmp_path: Path, reference: Path) -> None:
    path = tmp_path / "fixed"
    killed_at(path, "*/pretrain/done.json", FIXED)
    with open(path / "ledger.jsonl", "a") as file:
        file.write('{"charge":4,"ha')
    code, text = finish(run_words(path, FIXED), tmp_path / "output")
    assert code == 0 and "warning" in text and "torn" in text
    assert same_release(path, reference)


def test_an_answered_query_is_never_asked_again(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    (path / "stages" / "query" / "histogram.json").unlink()
    (path / "stages" / "query" / "done.json").unlink()
    code, text = finish(run_words(path), tmp_path / "output")
    assert code == 2 and "the semantic query was answered" in errors(text)[0]
    assert charges(path) == ["semantic query", "dp-sgd"]


def test_another_configuration_is_refused_with_what_differs(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    code, text = finish(run_words(path, "finetune.learning_rate=0.5"), tmp_path / "output")
    assert code == 2 and len(errors(text)) == 1
    assert "finetune.learning_rate: 0.002 there, 0.5 here" in text and "run.name=whole-2" in text
    assert (path / "ledger.jsonl").read_bytes() == (finished / "ledger.jsonl").read_bytes()


def test_machine_settings_may_change(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    assert finish(run_words(path, "launch.checkpoint_minutes=7"), tmp_path / "output")[0] == 0


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(fill_disk, id="from the start"),
        *(
            pytest.param(at(pattern, fill_disk), id=pattern)
            for pattern in (
                "*/query/done.json",  # the selected images find no room
                "*/finetune/checkpoints-*/step-00000002.ckpt",
                "*/release/model.safetensors",
                "*/internal/scores.json",  # the report finds no room
            )
        ),
    ],
)
def test_a_full_disk_is_one_message_and_nothing_is_lost(
    tmp_path: Path, reference: Path, before: Callable[[], None]
) -> None:
    path = tmp_path / "fixed"
    code, text = finish(run_words(path, FIXED, "-q"), tmp_path / "output", before)
    assert code == 2, text
    assert len(errors(text)) == 1 and "File too large" in errors(text)[0] and "same command again" in errors(text)[0]
    code, text = finish(run_words(path, FIXED), tmp_path / "output")
    assert code == 0, text
    assert same_release(path, reference)
    assert charges(path) == ["semantic query", "dp-sgd"]


def test_a_second_process_on_the_same_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole"
    stop = at("*/classifier/done.json", lambda: os.kill(os.getpid(), signal.SIGSTOP))
    first = Child(run_words(path), tmp_path / "first", stop)
    first.wait_stopped()
    try:
        code, text = finish(run_words(path), tmp_path / "second")
        assert code == 2 and len(errors(text)) == 1
        assert f"in use by another process (process id {first.pid})" in errors(text)[0]
    finally:
        first.send(signal.SIGCONT)
    assert first.wait() == 0, first.text


# --- one's own images


def draw_shapes(root: Path, seed: int, count: int) -> None:
    """Two categories of small colour pictures of mixed sizes: discs and bars."""
    random_numbers = np.random.default_rng(seed)
    for category in ("bars", "discs"):
        (root / category).mkdir(parents=True)
        for number in range(count):
            side = int(random_numbers.integers(9, 20))
            y, x = np.mgrid[:side, :side]
            inside = (x - side / 2) ** 2 + (y - side / 2) ** 2 < side if category == "discs" else abs(x - side / 2) < 2
            colours = random_numbers.integers(0, 256, (2, 3), dtype=np.uint8)
            Pillow.fromarray(np.where(inside[..., None], *colours)).save(root / category / f"{number}.png")


def folder_words(path: Path, *overrides: str) -> list[str]:
    data = path.parent / "data"
    return run_words(
        path,
        "sensitive.name=folder",
        f"sensitive.root={data / 'train'}",
        f"sensitive.test_root={data / 'test'}",
        "image.channels=3",
        "privacy.delta=1e-3",
        "finetune.batch_size=20",
        *overrides,
    )


@pytest.fixture(scope="module")
def folder_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on a folder of images that are not public, with a fixed key."""
    path = tmp_path_factory.mktemp("folder") / "mine"
    draw_shapes(path.parent / "data" / "train", seed=1, count=40)
    draw_shapes(path.parent / "data" / "test", seed=2, count=10)
    code, text = finish(folder_words(path, FIXED), path.with_name("output"))
    assert code == 0, text
    return path


def test_own_images_end_to_end(folder_run: Path) -> None:
    arrays, told = released(folder_run), statement(folder_run)
    assert arrays["images"].shape == (60, 8, 8, 3) and list(arrays["class_names"]) == ["bars", "discs"]
    assert told["records"] == 80 and told["delta"] == 1e-3
    assert 9.9 <= told["epsilon"] <= 10
    scores = json.loads((folder_run / "internal" / "scores.json").read_text())["scores"]
    assert 0 <= scores[0]["accuracies"]["lr"] <= 1


def test_the_console_tells_nothing_of_private_images(folder_run: Path) -> None:
    text = folder_run.with_name("output").read_text()
    private = [line for line in text.splitlines() if line.split()[:1] and line.split()[0] in
               ("query", "finetune", "evaluate", "report")]  # fmt: skip
    assert len(private) == 4
    for line in private:
        assert not re.search(r"\d s\b|loss|accuracy|LR|FID|Fréchet|images/s|norm|clipped", line.replace(" semantics", ""))
    scores = json.loads((folder_run / "internal" / "scores.json").read_text())["scores"]
    values = [value for row in scores for value in [*row["accuracies"].values(), row["frechet"]]]
    values += [value for curve in read_metrics(folder_run / "internal" / "metrics" / "finetune").values() for _, value in
               curve if value % 1]  # fmt: skip
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
    words = [word.replace(str(tmp_path / "data"), str(folder_run.parent / "data")) for word in folder_words(path, FIXED)]
    (folder_run.parent / "data").rename(folder_run.parent / "kept")  # the same paths, other test images
    (tmp_path / "data").rename(folder_run.parent / "data")
    try:
        code, text = finish(words, tmp_path / "output")
    finally:
        (folder_run.parent / "data").rename(tmp_path / "data")
        (folder_run.parent / "kept").rename(folder_run.parent / "data")
    assert code == 0, text
    assert same_release(path, folder_run)
    for name in ("model.json", "PRIVACY.md"):
        one, two = ((run / "release" / name).read_text() for run in (path, folder_run))
        assert re.sub(r"ends in \w+", "", one) == re.sub(r"ends in \w+", "", two)
    assert (path / "internal" / "scores.json").read_text() != (folder_run / "internal" / "scores.json").read_text()


def test_a_corrupt_image_stops_the_run_before_anything_is_charged_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    draw_shapes(tmp_path / "data" / "train", seed=1, count=20)
    draw_shapes(tmp_path / "data" / "test", seed=2, count=5)
    file = tmp_path / "data" / "train" / "bars" / "3.png"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    code, text = finish(folder_words(path), tmp_path / "output")
    assert code == 2 and len(errors(text)) == 1
    assert errors(text)[0].startswith("sensitive.root: ") and "'bars/3.png'" in errors(text)[0]
    file.write_bytes(whole)
    code, text = finish(folder_words(path), tmp_path / "output")
    assert code == 0 and "classifier" in [line.split()[0] for line in text.splitlines() if "(done before)" in line]


def test_a_single_test_image_is_too_few_until_there_are_more(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    draw_shapes(tmp_path / "data" / "train", seed=1, count=20)
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
