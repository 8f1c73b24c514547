"""What Weights & Biases gets from whole runs, decoded from their offline files."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import wandb
from PIL import Image

from accounting.ledger import Ledger
from configs.loading import load
from launch.run.directory import RunDirectory
from launch.tracking.guard import Guard
from launch.tracking.tracking import Tracking
from tests.launch.runs import (
    FIXED,
    KEY,
    Child,
    at,
    draw_shapes,
    errors,
    finish,
    folder_words,
    privimage,
    run_words,
    statement,
)
from tests.launch.setups import plan
from tests.launch.tracking.tracked import tracked_run
from tests.launch.tracking.wandb_records import OfflineRun, offline_runs

pytestmark = pytest.mark.slow

TRACKED = ("tracking=[wandb]", "wandb.tags=[nightly]", "finetune.snapshots=2", "evaluate.snapshot_count=40")
SCORES = ("accuracy", "frechet", "fid", "precision", "recall", "inception", "report")
NOISELESS = ("loss", "gradient_norm", "clipped", "records", *SCORES)


@pytest.fixture(scope="module")
def public_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a public benchmark that was stopped in fine-tuning, as a scheduler does it, and continued."""
    path = tmp_path_factory.mktemp("public") / "stopped"
    words = run_words(path, *TRACKED)
    plan(load("demo", words[2:]))  # processes forked later inherit what it works out
    stop = at("*stages/finetune/checkpoints*/step-00000002.ckpt", lambda: os.kill(os.getpid(), signal.SIGTERM))
    first = Child(words, path.with_name("first"), stop)
    assert first.wait() == 128 + signal.SIGTERM, first.text
    code, text = finish(words, path.with_name("second"))
    assert code == 0, text
    return path


@pytest.fixture(scope="module")
def public_parts(public_run: Path) -> list[OfflineRun]:
    return offline_runs(public_run)


def test_a_continued_run_keeps_its_id(public_run: Path, public_parts: list[OfflineRun]) -> None:
    before, after = (part.run for part in public_parts)
    assert before.run_id == after.run_id == json.loads((public_run / "internal/tracking.json").read_text())["run_id"]
    assert before.resume and after.resume
    assert "preempting" in public_parts[0].kinds and "preempting" not in public_parts[1].kinds
    assert [part.of("exit")[0].exit_code for part in public_parts] == [1, 0]


def test_runs_of_a_comparison_are_grouped_and_told_apart_by_method(public_parts: list[OfflineRun]) -> None:
    run = public_parts[-1].run
    assert (run.project, run.run_group, run.job_type) == ("privimage", "demo", "privimage_d")
    assert run.display_name == "stopped" and list(run.tags) == ["privimage_d", "digits", "nightly"]
    assert public_parts[-1].config["method"] == "privimage_d"


def test_every_step_of_training_is_there_once_durable(public_parts: list[OfflineRun]) -> None:
    for stage, metric in (("classifier", "train/loss"), ("pretrain", "train/loss"), ("finetune", "gradient_norm")):
        rows = [row for part in public_parts for row in part.rows(f"{stage}/{metric}")]
        assert [row["trainer/global_step"] for row in rows] == [0, 1, 2, 3]
        assert public_parts[-1].axes[f"{stage}/*"] == "trainer/global_step"
    shown = [row["trainer/global_step"] for row in public_parts[0].rows("finetune/loss")]
    assert shown == [0, 1, 2]  # the signal came before the third step, which the last checkpoint covers
    spent = [row["finetune/epsilon"] for part in public_parts for row in part.rows("finetune/epsilon")]
    assert spent == sorted(spent) and spent[-1] < 10


def test_scores_have_epsilon_as_their_axis(public_run: Path, public_parts: list[OfflineRun]) -> None:
    last = public_parts[-1]
    assert {last.axes[name] for name in ("scores/*", "release/*", "samples")} == {"epsilon"}
    ledger = Ledger.read(public_run / "ledger.jsonl")
    points = json.loads((public_run / "internal" / "scores.json").read_text())["on_the_way"]
    for metric, value in (
        ("scores/accuracy/lr", lambda point: point["accuracies"]["lr"]),
        ("scores/frechet", lambda point: point["frechet"]),
        ("scores/precision", lambda point: point["precision"]),
    ):
        rows = last.rows(metric)
        assert [row["epsilon"] for row in rows] == [point["epsilon"] for point in points]
        assert [row[metric] for row in rows] == [value(point) for point in points]
    spent = [row["epsilon"] for row in last.rows("scores/frechet")]
    assert len(spent) == 3 and spent == sorted(spent) and spent[-1] == ledger.epsilon()
    (release,) = last.rows("release/accuracy/lr")
    assert release["epsilon"] == ledger.epsilon()


def test_samples_stand_beside_the_scores(public_parts: list[OfflineRun]) -> None:
    rows = [row for row in public_parts[-1].history if "samples.filenames" in row or "samples.path" in row]
    assert len(rows) == 3 and all("epsilon" in row for row in rows)
    pictures = [path for path in public_parts[-1].files if path.suffix == ".png"]
    assert len(pictures) == 3
    for picture in pictures:
        assert Image.open(picture).width > 8 * 10


def test_the_plan_and_the_report_are_tables(public_run: Path, public_parts: list[OfflineRun]) -> None:
    last, planned = public_parts[-1], json.loads((public_run / "plan.json").read_text())
    assert [row["name"] for row in last.table("budget")] == ["semantic query", "dp-sgd"]
    for row, mechanism in zip(last.table("budget"), planned["mechanisms"], strict=True):
        assert row["noise_multiplier"] == mechanism["noise_multiplier"]
    assert last.config["plan"] == planned
    rows = json.loads((public_run / "internal" / "scores.json").read_text())["scores"]
    table = last.table("report")
    assert [row["trained on"] for row in table] == [row["name"] for row in rows]
    assert [row["LR"] for row in table] == [row["accuracies"]["lr"] for row in rows]
    assert [row["Recall"] for row in table] == [row["recall"] for row in rows]


def test_the_summary_is_the_guarantee(public_run: Path, public_parts: list[OfflineRun]) -> None:
    told, summary = statement(public_run), public_parts[-1].summary
    assert {name: summary[name] for name in ("epsilon", "delta", "accountant", "private")} == {
        name: told[name] for name in ("epsilon", "delta", "accountant", "private")
    }
    assert summary["method"] == "privimage_d"


def test_no_text_that_a_user_typed_is_sent(public_run: Path, public_parts: list[OfflineRun]) -> None:
    for part in public_parts:
        assert not {"launch", "run", "tracking", "wandb"} & part.config.keys()
        assert part.config["sensitive"] == {"name": "digits"} and "insecure_key" not in part.config["privacy"]
        sent = "\n".join(str(record) for record in part.records if record.WhichOneof("record_type") != "output_raw")
        assert "tests/launch" not in sent and "run.root" not in sent
        assert not part.run.host and not part.run.git.commit
        assert not [path for path in part.files if path.name in ("wandb-metadata.json", "requirements.txt")]


def test_all_that_is_to_be_sent_lies_in_the_folder_of_the_run(public_run: Path, public_parts: list[OfflineRun]) -> None:
    for part in public_parts:
        for record in part.of("files"):
            assert all((part.folder / "files" / file.path).is_file() for file in record.files)
        for artifact in part.of("artifact"):
            (table,) = artifact.manifest.contents
            assert Path(table.local_path).is_relative_to(public_run / "internal" / "wandb")


def test_the_same_command_again_sends_nothing(public_run: Path, tmp_path: Path) -> None:
    before = len(offline_runs(public_run))
    code, text = finish(run_words(public_run, *TRACKED), tmp_path / "again")
    assert code == 0 and len(offline_runs(public_run)) == before, text


# --- images that are not public


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private")
    draw_shapes(folder / "data" / "train", seed=1, count=40)
    draw_shapes(folder / "data" / "test", seed=2, count=10)
    return folder


@pytest.fixture(scope="module")
def guarded(images: Path) -> Path:
    """A finished run on a folder that is not declared public, with the default tracking."""
    path = images / "scans"
    plan(load("demo", folder_words(path, *TRACKED)[2:]))
    code, text = finish(folder_words(path, *TRACKED), path.with_name("output"))
    assert code == 0, text
    return path


@pytest.fixture(scope="module")
def guarded_part(guarded: Path) -> OfflineRun:
    (part,) = offline_runs(guarded)
    return part


def sensitive_names(part: OfflineRun) -> set[str]:
    """The names of logged values that were computed from sensitive images without noise."""
    of_public = ("classifier/", "pretrain/")
    return {name for name in part.metrics if any(word in name for word in NOISELESS) and not name.startswith(of_public)}


def test_nothing_without_noise_of_private_images_is_sent(guarded: Path, guarded_part: OfflineRun) -> None:
    assert not sensitive_names(guarded_part)
    assert {name for name in guarded_part.metrics if name.startswith("finetune/")} == {"finetune/epsilon"}
    scores = json.loads((guarded / "internal" / "scores.json").read_text())
    values = [
        value
        for row in scores["scores"] + scores["on_the_way"]
        for value in (*row["accuracies"].values(), row["frechet"], row["precision"], row["recall"])
    ]
    lines = (guarded / "internal" / "metrics" / "finetune" / "metrics.jsonl").read_text().splitlines()
    values += [value for line in lines for value in json.loads(line).values()]
    secret = {text for value in values if len(text := repr(value)) > 8}  # too long to be there by chance
    tables = [path.read_text() for path in guarded_part.files if path.suffix == ".json"]
    assert len(secret) > 10
    for text in (guarded_part.text(), *tables):
        assert not [value for value in secret if value in text]


def test_no_machine_no_console_and_no_code_of_private_images(guarded: Path, guarded_part: OfflineRun) -> None:
    assert not {"stats", "output", "output_raw", "environment"} & guarded_part.kinds
    assert {path.suffix for path in guarded_part.files} <= {".png", ".json"}
    assert not [path for path in guarded_part.files if "table" not in path.name and path.suffix == ".json"]
    run = guarded_part.run
    assert not run.host and not run.git.commit and not run.git.remote_url
    sent = "\n".join(str(record) for record in guarded_part.records if record.WhichOneof("record_type") != "artifact")
    assert str(guarded.parent) not in sent  # an artifact says where its file waits, which is not sent itself


@pytest.mark.parametrize("public", [True, False])
def test_the_machine_and_the_console_are_asked_for_of_public_images_alone(
    public: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that is printed, and the use of the machine, while the run is active."""
    tracked, asked = tracked_run(tmp_path, "tracking=[wandb]"), []
    tracked = dataclasses.replace(tracked, guard=Guard(public, trusted_server=True, insecure=False))
    (tracker,) = Tracking(tracked).trackers
    monkeypatch.setattr(wandb, "init", lambda **settings: asked.append(settings["settings"]) or mock.Mock())
    assert tracker.run is not None
    (given,) = asked
    assert given.disable_git and given.disable_code and not given.save_code and given.x_disable_meta
    assert given.host == "" and given.silent and not given.x_save_requirements
    assert (given.console == "off", given.x_disable_stats, given.x_disable_machine_info) == (not public,) * 3


def test_private_images_show_no_moment_of_a_step(guarded: Path, guarded_part: OfflineRun) -> None:
    """Everything was sent after all the work was done."""
    began = guarded_part.run.start_time.ToNanoseconds() / 1e9
    assert began > max(marker.stat().st_mtime for marker in guarded.glob("stages/*/done.json"))
    assert min(row["_timestamp"] for row in guarded_part.history) >= began


def test_what_is_public_or_private_is_sent(guarded: Path, guarded_part: OfflineRun) -> None:
    assert len(guarded_part.rows("classifier/train/loss")) == len(guarded_part.rows("pretrain/train/loss")) == 4
    assert [row["name"] for row in guarded_part.table("budget")] == ["semantic query", "dp-sgd"]
    samples = [row for row in guarded_part.history if any(key.startswith("samples.") for key in row)]
    assert [row["epsilon"] for row in samples] == sorted(row["epsilon"] for row in samples) and len(samples) == 3
    assert guarded_part.summary["epsilon"] == statement(guarded)["epsilon"]


def test_one_notice_says_what_is_held_back(guarded: Path) -> None:
    text = guarded.with_name("output").read_text()
    assert text.count("held back") == 1 and "wandb.trusted_server=true" in text


def test_a_trusted_server_is_sent_the_rest(guarded: Path, guarded_part: OfflineRun, tmp_path: Path) -> None:
    code, text = finish(folder_words(guarded, *TRACKED, "wandb.trusted_server=true"), tmp_path / "trusted")
    assert code == 0 and "held back" not in text, text
    last = offline_runs(guarded)[-1]
    assert last.run.run_id == guarded_part.run.run_id
    assert {"finetune/loss", "finetune/gradient_norm", "finetune/clipped_fraction"} <= last.metrics
    assert len(last.rows("scores/accuracy/lr")) == 3 and last.table("report")
    assert not {"stats", "output", "output_raw"} & last.kinds


def test_with_a_fixed_key_no_sample_of_private_images_is_sent(folder_run: Path, tmp_path: Path) -> None:
    code, text = finish(folder_words(folder_run, FIXED, "tracking=[wandb]", report=True), tmp_path / "tracked")
    assert code == 0 and text.count("(done before)") == 8, text
    (part,) = offline_runs(folder_run)
    assert not [name for name in part.metrics if name.startswith("samples")] and not part.rows("pretrain/train/loss")
    assert part.rows("classifier/train/loss") and "NOT PRIVATE" in part.run.tags
    assert part.summary["private"] is False and part.config["private"] is False
    assert KEY not in part.text()


def test_a_run_without_noise_says_so_and_has_no_budget_there(tmp_path: Path) -> None:
    path = tmp_path / "run"
    code, text = finish(run_words(path, "method=nonpriv_d", "tracking=[wandb]"), tmp_path / "tracked")
    assert code == 0, text
    (part,) = offline_runs(path)
    assert part.config["private"] is False and part.config["plan"]["epsilon"] is None
    assert "NOT PRIVATE" in part.config["plan"]["notice"] and "NOT PRIVATE" in part.run.tags
    summary = part.summary
    assert summary["private"] is False and "NOT PRIVATE" in summary["notice"] and "epsilon" not in summary
    scores = json.loads((path / "internal" / "scores.json").read_text())["scores"][0]
    assert summary["release/accuracy/lr"] == scores["accuracies"]["lr"]


# --- when it is not wanted, or does not work


@pytest.fixture
def no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user without any key: no variable, no netrc, no settings."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for variable in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.mark.usefixtures("no_key")
def test_online_without_a_key_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs" / "online"
    assert privimage(*run_words(path, "tracking=[wandb]", "wandb.mode=online")) == 2
    (message,) = errors(capsys.readouterr().err)
    assert message.startswith("wandb.mode=online: ") and "WANDB_API_KEY" in message and "offline" in message
    assert not path.parent.exists()


def test_a_server_that_cannot_be_reached_stops_nothing(
    no_key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://localhost:9")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    path = tmp_path / "online"
    code, text = finish(
        run_words(path, "tracking=[wandb]", "wandb.mode=online", "stages=[classifier]"), tmp_path / "output"
    )
    assert code == 0 and not errors(text), text
    assert text.count("privimage: warning: Weights & Biases") == 1 and "offline" in text
    assert RunDirectory(path).marker("classifier") is not None
    assert len(offline_runs(path)[-1].rows("classifier/train/loss")) == 4


def test_a_dashboard_that_breaks_is_one_warning(tmp_path: Path) -> None:
    def log(*_: object, **__: object) -> None:
        raise RuntimeError("the connection is gone")

    tracking = Tracking(tracked_run(tmp_path, "tracking=[wandb]"))
    tracker = tracking.trackers[0]
    (logger,) = tracking.loggers("pretrain")
    with tracking:
        logger.log_metrics({"train/loss": 1.0}, 0)
        tracker.run.log = log
        with pytest.warns(UserWarning, match="the connection is gone") as warned:
            for step in range(1, 4):
                logger.log_metrics({"train/loss": 1.0}, step)
            tracker.point(4, 1.0, {"scores/fid": 2.0}, None)
            tracker.summary({"epsilon": 1.0})
    assert len(warned) == 1
