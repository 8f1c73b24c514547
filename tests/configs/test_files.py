"""Files appear whole or not at all, also if the disk fails."""

import json
import os
import resource
import signal
from pathlib import Path

import pytest

from configs.errors import UserError
from configs.files import atomic_json, atomic_text, atomic_write
from tests.power_cut import Disk

ROOM = 4096  # bytes a file may have on the disk that is full


def exit_code(path: Path) -> int:
    """Writes more than there is space for, in a separate process, because such a limit cannot be removed again."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
        try:
            atomic_text(path, "new" * ROOM)
        except UserError as error:
            os._exit(0 if str(path) in str(error) and "File too large" in str(error) else 3)
        finally:
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("before", [None, "old"])
def test_a_full_disk_is_one_message_and_the_old_content_stays(tmp_path, before):
    path = tmp_path / "one.txt"
    if before is not None:
        path.write_text(before)
    assert exit_code(path) == 0
    assert (path.read_text() if path.exists() else None) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if before is None else ["one.txt"])


def test_a_failure_while_writing_leaves_the_old_content(tmp_path):
    path = tmp_path / "one.txt"
    atomic_text(path, "old")

    def fail(file):
        file.write(b"half of the new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, fail)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.txt"]


@pytest.mark.parametrize("before", [None, "old"])
def test_a_power_cut_leaves_the_old_content_or_the_new(tmp_path, monkeypatch, before):
    path, disk, replace, moments = tmp_path / "one.txt", Disk(monkeypatch), os.replace, []
    if before is not None:
        atomic_text(path, before)

    def watched(source, target):
        moments.append(disk.content(source))
        replace(source, target)
        moments.append(disk.left(path))

    monkeypatch.setattr(os, "replace", watched)
    atomic_text(path, "new")
    assert moments == [b"new", before and before.encode()] and disk.left(path) == b"new"


def test_the_leftover_of_a_killed_process_goes_with_the_next_write(tmp_path):
    child = os.fork()
    if child == 0:
        atomic_write(tmp_path / "one.txt", lambda file: os.kill(os.getpid(), signal.SIGKILL))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not (tmp_path / "one.txt").exists()
    atomic_text(tmp_path / "one.txt", "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.txt"]


def test_folders_are_made_and_content_comes_back(tmp_path):
    value = {"name": "ε", "numbers": [1, 2.5, None]}
    atomic_json(tmp_path / "a" / "b" / "one.json", value)
    assert json.loads((tmp_path / "a" / "b" / "one.json").read_text()) == value
    atomic_json(tmp_path / "a" / "b" / "one.json", [])
    assert json.loads((tmp_path / "a" / "b" / "one.json").read_text()) == []


def test_the_mode_is_as_asked(tmp_path):
    atomic_write(tmp_path / "secret", lambda file: None, mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_place_that_cannot_be_is_one_message(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot write '.*one\.txt': "):
        atomic_text(tmp_path / "file" / "one.txt", "text")
