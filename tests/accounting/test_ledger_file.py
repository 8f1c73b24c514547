import errno
import itertools
import json
import os
import resource
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounting.ledger_file import GENESIS, Chain, LedgerError, _digest
from configs.errors import UserError
from tests.power_cut import Disk


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    chain = Chain.create(tmp_path / "ledger.jsonl")
    for step in range(3):
        chain.append("note", text=f"é {step}", value=0.1 * step)
    return chain


def test_lines_are_read_back_as_written(chain: Chain) -> None:
    again = Chain.read(chain.path, repair=True)
    assert again.entries == chain.entries and again.head == chain.head
    assert [e["index"] for e in again.entries] == [0, 1, 2]
    assert again.entries[0]["previous"] == GENESIS
    assert again.append("note", text="more")["previous"] == chain.head


def test_any_change_in_any_whole_line_is_found(chain: Chain) -> None:
    whole = chain.path.read_bytes()
    for position in range(len(whole) - 1):
        for flip in (0x01, 0x20):
            changed = bytearray(whole)
            changed[position] ^= flip
            chain.path.write_bytes(changed)
            with pytest.raises(LedgerError, match=r"line [123]"):
                Chain.read(chain.path, repair=False)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_lines_cannot_be_dropped_moved_or_slipped_in(chain: Chain, data: st.DataObject) -> None:
    lines = [json.dumps(e, sort_keys=True, separators=(",", ":")).encode() + b"\n" for e in chain.entries]
    strangers = [b"\n", b"{}\n", b"1\n", b"NaN\n", b'{"kind":"x"}\n']
    chosen = data.draw(st.lists(st.sampled_from(lines + strangers), max_size=4))
    if chosen == lines[: len(chosen)]:
        return  # a shorter chain is whole in itself; only a head that was kept elsewhere knows better
    chain.path.write_bytes(b"".join(chosen))
    with pytest.raises(LedgerError):
        Chain.read(chain.path, repair=False)


def test_a_published_hash_does_not_say_when_its_line_was_written(tmp_path: Path) -> None:
    """Somebody who knows the line before, and everything in a line except its time, could otherwise try all seconds."""
    chains = [Chain.create(tmp_path / str(number)) for number in range(3)]
    for chain in chains:
        chain.append("note", text="run key destroyed")
    lines = [chain.entries[0] for chain in chains]
    nonces = {line["nonce"] for line in lines}
    assert len(nonces) == 3 and all(len(bytes.fromhex(nonce)) == 16 for nonce in nonces)
    same = [{**line, "time": lines[0]["time"]} for line in lines]
    assert len({_digest(line) for line in same}) == 3 and _digest(lines[0]) == chains[0].head


def test_lines_of_two_files_make_no_chain(chain: Chain) -> None:
    """Each line is in its place and valid by itself, but does not follow from the line before."""
    other = Chain.create(chain.path.with_name("other.jsonl"))
    for step in range(3):
        other.append("note", text=f"other {step}")
    lines = [path.read_bytes().splitlines(keepends=True) for path in (chain.path, other.path)]
    mixed = chain.path.with_name("mixed.jsonl")
    for whose in itertools.product((0, 1), repeat=3):
        mixed.write_bytes(b"".join(lines[which][place] for place, which in enumerate(whose)))
        if len(set(whose)) == 1:
            assert len(Chain.read(mixed, repair=False).entries) == 3
        else:
            with pytest.raises(LedgerError, match="does not follow"):
                Chain.read(mixed, repair=False)


def test_a_line_would_survive_a_power_cut_once_it_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, disk = tmp_path / "run" / "ledger.jsonl", Disk(monkeypatch)
    chain = Chain.create(path)
    assert disk.left(path) == b""  # its name
    for step in range(3):
        chain.append("note", text=f"{step}")
        assert disk.holds(path)
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 5)
    with pytest.warns(UserWarning, match="torn"):
        Chain.read(path, repair=True).append("note", text="on with it")
    assert disk.holds(path)


def test_every_torn_end_is_set_aside_and_kept(chain: Chain, tmp_path: Path) -> None:
    whole = chain.path.read_bytes()
    last = whole.rstrip(b"\n").rindex(b"\n") + 1
    for cut in (last + 1, last + 40, len(whole) - 1):
        chain.path.write_bytes(whole[:cut])
        with pytest.warns(UserWarning, match="torn"):
            again = Chain.read(chain.path, repair=True)
        assert len(again.entries) == 2 and chain.path.read_bytes() == whole[:last]
        (aside,) = tmp_path.glob("ledger.jsonl.torn-*")
        assert aside.read_bytes() == whole[last:cut]
        aside.unlink()
        again.append("note", text="on with it")
        assert len(Chain.read(chain.path, repair=True).entries) == 3


def test_zeros_that_a_crash_left_are_a_torn_end(chain: Chain) -> None:
    whole = chain.path.read_bytes()
    for tail in (bytes(100), b'{"half":' + bytes(50) + b"}\n"):
        chain.path.write_bytes(whole + tail)
        with pytest.warns(UserWarning, match="torn"):
            assert Chain.read(chain.path, repair=False).head == chain.head
        assert chain.path.read_bytes() == whole + tail


def test_a_second_writer_is_noticed(chain: Chain) -> None:
    other = Chain.read(chain.path, repair=True)
    other.append("note", text="mine")
    with pytest.raises(LedgerError, match="somebody else"):
        chain.append("note", text="mine too")
    assert Chain.read(chain.path, repair=False).head == other.head


def test_a_full_disk_enters_nothing(chain: Chain) -> None:
    size, head, limits = chain.path.stat().st_size, chain.head, resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        # The kernel writes up to the limit and refuses the rest, as on a disk that fills up in the middle of a line.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
        with pytest.raises(UserError, match=r"ledger\.jsonl.*nothing was entered"):
            chain.append("note", text="x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert chain.path.stat().st_size == size and chain.head == head
    chain.append("note", text="now there is room")
    assert len(Chain.read(chain.path, repair=False).entries) == 4


def test_missing_or_unusable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=os.strerror(errno.ENOENT)):
        Chain.read(tmp_path / "none", repair=False)
    with pytest.raises(LedgerError, match="cannot be read"):
        Chain.read(tmp_path, repair=False)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be created"):
        Chain.create(tmp_path / "file" / "ledger.jsonl")
