import copy
import os
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from accounting.run_key import RunKey
from configs.errors import UserError
from tests.power_cut import Disk

FIXED = "ab" * 32


def test_a_key_is_made_once_private_and_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "internal" / "key"
    before = os.umask(0)
    try:
        first = RunKey.create_or_load(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.stat().st_size == 32
    assert not first.insecure
    assert RunKey.create_or_load(path).derive(b"x") == first.derive(b"x")
    assert RunKey.create_or_load(tmp_path / "other").derive(b"x") != first.derive(b"x")


def test_derivation_is_hkdf() -> None:
    key = RunKey.create_or_load("unused", FIXED)
    extract = HMAC(bytes(32), SHA256())
    extract.update(bytes.fromhex(FIXED))
    assert key.derive(b"info") == HKDFExpand(SHA256(), 32, b"info").derive(extract.finalize())


def test_an_insecure_key_is_marked_and_never_written(tmp_path: Path) -> None:
    key = RunKey.create_or_load(tmp_path / "key", FIXED)
    assert key.insecure and not list(tmp_path.iterdir())


@pytest.mark.parametrize("digits", ["", "ab", "g" * 64, "ab" * 33, " " + "a" * 63, "a" * 64 + "\n"])
def test_a_malformed_insecure_key_is_refused(tmp_path: Path, digits: str) -> None:
    with pytest.raises(UserError, match="64 hexadecimal"):
        RunKey.create_or_load(tmp_path / "key", digits)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o610])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    RunKey.create_or_load(path)
    path.chmod(mode)
    with pytest.raises(UserError, match="read by others"):
        RunKey.create_or_load(path)


def test_a_link_or_a_stranger_is_refused(tmp_path: Path) -> None:
    RunKey.create_or_load(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    with pytest.raises(UserError, match="link"):
        RunKey.create_or_load(tmp_path / "link")
    stranger = tmp_path / "stranger"
    stranger.write_bytes(bytes(range(40)))
    stranger.chmod(0o600)
    with pytest.raises(UserError, match="not a run key"):
        RunKey.create_or_load(stranger)
    with pytest.raises(UserError, match="permissions"):
        RunKey.create_or_load(tmp_path / "key" / "below")


@pytest.mark.parametrize("left", [b"", b"\x07" * 10, bytes(32)])
def test_an_unfinished_or_zeroed_key_is_made_anew(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(left)
    path.chmod(0o600)
    RunKey.create_or_load(path)
    assert len(path.read_bytes()) == 32 and path.read_bytes() != bytes(32)


def test_destroying_leaves_zeros_in_the_file_and_no_name(tmp_path: Path) -> None:
    path = tmp_path / "key"
    old = RunKey.create_or_load(path)
    with open(path, "rb") as held:
        RunKey.destroy(path)
        assert held.read() == bytes(32)
    assert not path.exists()
    RunKey.destroy(path)
    assert RunKey.create_or_load(path).derive(b"") != old.derive(b"")


def test_a_power_cut_leaves_the_key_that_is_in_use_and_none_that_is_destroyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, disk = tmp_path / "internal" / "key", Disk(monkeypatch)
    RunKey.create_or_load(path)
    assert disk.holds(path)
    kept = tmp_path / "kept"  # the same file under another name, as in a snapshot
    os.link(path, kept)
    RunKey.destroy(path)
    assert disk.content(kept) == bytes(32) and disk.left(path) is None


def test_the_key_is_never_shown_or_copied() -> None:
    key = RunKey.create_or_load("unused", FIXED)
    assert FIXED not in repr(key) and "ab" * 4 not in str(key)
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="key material"):
            act(key)
