"""To which run a folder belongs: by configuration, by process, and by name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from configs.errors import UserError
from configs.files import atomic_write
from configs.loading import load, to_yaml
from launch.processes.resources import Meter
from launch.run.directory import RunDirectory, find_run, free_name

DEMO = load("demo", ["finetune.steps=40", "privacy.epsilon=10"])
OTHER = load("demo", ["finetune.steps=41", "privacy.epsilon=1"])


def test_a_new_folder_is_claimed_and_known_again(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "a" / "demo")
    directory.claim(DEMO)
    before = directory.config.read_bytes()
    directory.claim(DEMO)
    assert load(str(directory.config)) == DEMO and directory.config.read_bytes() == before


def test_what_is_not_private_is_for_nobody_else_to_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        directory = RunDirectory(tmp_path / "demo")
        directory.claim(DEMO)
    finally:
        os.umask(before)
    assert [folder.stat().st_mode & 0o077 for folder in (directory.internal, directory.stage("query").parent)] == [0, 0]


def test_another_configuration_is_told_what_differs_and_a_free_name(tmp_path: Path) -> None:
    RunDirectory(tmp_path / "demo").claim(DEMO)
    (tmp_path / "demo-2").mkdir()
    with pytest.raises(UserError) as error:
        RunDirectory(tmp_path / "demo").claim(OTHER)
    assert "privacy.epsilon: 10.0 there, 1.0 here" in str(error.value)
    assert "finetune.steps: 40 there, 41 here" in str(error.value)
    assert "run.name=demo-3" in str(error.value)
    assert load(str(tmp_path / "demo" / "config.yaml")) == DEMO


def test_a_free_name_is_the_first_that_is_free(tmp_path: Path) -> None:
    assert free_name(tmp_path / "demo") == "demo-2"
    (tmp_path / "demo-2").touch()
    assert free_name(tmp_path / "demo") == "demo-3"


def test_a_folder_with_other_files_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"is not a run: it contains files but no config\.yaml"):
        RunDirectory(tmp_path).claim(DEMO)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_process_killed_in_the_first_moment_left_is_no_obstacle(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "demo")
    child = os.fork()
    if child == 0:
        directory.lock()
        atomic_write(directory.config, lambda file: os.kill(os.getpid(), 9))
    os.waitpid(child, 0)
    assert directory.path.is_dir() and not directory.config.exists()
    directory.claim(DEMO)
    assert directory.config.read_text() == to_yaml(DEMO)


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "demo")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        lock = directory.lock()
        os.write(write, b"!")
        signal.pause()
        lock.release()
        os._exit(0)
    assert os.read(read, 1) == b"!"
    with pytest.raises(UserError, match=rf"in use by another process \(process id {child}\)"):
        directory.lock()
    os.kill(child, 9)
    os.waitpid(child, 0)
    with directory.lock():
        assert (directory.path / ".lock").read_text() == str(os.getpid())


def test_a_lock_is_given_back_at_the_end_of_the_block(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "demo")
    with directory.lock():
        pass
    with directory.lock(), pytest.raises(UserError, match="in use"):
        directory.lock()


def test_a_place_where_no_folder_can_be_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be a run's folder"):
        RunDirectory(tmp_path / "file" / "demo").lock()


def test_markers_and_costs_are_kept(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    assert directory.marker("query") is None
    directory.mark("query", {"fingerprint": "f", "line": "done", "ledger_head": "h"})
    assert directory.marker("query") == {"fingerprint": "f", "line": "done", "ledger_head": "h"}
    meter = Meter()
    meter.seconds, meter.peak_bytes, meter.gpu_peak_bytes = 2.0, 10, 3
    directory.add_cost("query", meter)
    meter.seconds, meter.peak_bytes, meter.gpu_peak_bytes = 1.5, 7, 4
    directory.add_cost("query", meter)
    assert directory.cost("query") == {"seconds": 3.5, "peak_bytes": 10, "gpu_peak_bytes": 4}
    assert directory.cost("select")["seconds"] == 0


def test_a_damaged_marker_says_which_file(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.mark("query", {})
    (directory.stage("query") / "done.json").write_text("{")
    with pytest.raises(UserError, match=r"done\.json.: it is damaged .* Remove the file"):
        directory.marker("query")


def test_runs_are_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RunDirectory(Path("runs/demo")).claim(DEMO)
    assert find_run("demo").path == Path("runs/demo")
    assert find_run("runs/demo").path == Path("runs/demo")
    assert find_run(str(tmp_path / "runs" / "demo"), root="elsewhere").path == tmp_path / "runs" / "demo"


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There are no runs in"):
        find_run("demo", str(tmp_path))
    for name in ("one", "two"):
        RunDirectory(tmp_path / name).claim(DEMO)
    with pytest.raises(UserError, match=rf"no run 'demo' \(looked for .*Runs in '{tmp_path}': one, two\."):
        find_run("demo", str(tmp_path))
