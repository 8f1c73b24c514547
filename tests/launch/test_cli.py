"""Exit codes: what the shell gets."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from pathlib import Path
from typing import cast

import pytest

from configs.errors import UserError
from launch import commands
from launch.cli import main
from launch.processes import interrupts
from tests.launch.runs import errors, finish, privimage

pytestmark = pytest.mark.slow


def ends_with(monkeypatch: pytest.MonkeyPatch, ending: BaseException | int | None) -> None:
    """Let `privimage list` end in this way."""

    def command(options: object) -> int | None:
        if isinstance(ending, BaseException):
            raise ending
        return ending

    monkeypatch.setattr(commands.listing, "command", command)


@pytest.mark.parametrize(
    ("ending", "code", "message"),
    [
        (None, 0, ""),
        (3, 3, ""),
        (UserError("the disk is purple"), 2, "privimage: the disk is purple\n"),
        (
            interrupts.Interrupted(15),
            143,
            "privimage: stopped by SIGTERM; the same command continues from here\n",
        ),
        (
            KeyboardInterrupt(),
            130,
            "privimage: stopped at once; the same command resumes from the last checkpoint\n",
        ),
    ],
)
def test_every_ending_has_its_code_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ending, code: int, message: str
) -> None:
    ends_with(monkeypatch, ending)
    assert main(["list"]) == code
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_does_not_take_it_is_the_user_s_to_mend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    ends_with(monkeypatch, OSError(number, os.strerror(number), "some/file"))
    assert main(["list"]) == 2
    assert capsys.readouterr().err.startswith(f"privimage: cannot write 'some/file': {os.strerror(number)}.")


def test_a_bug_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ends_with(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_a_reader_who_has_gone_is_no_error(tmp_path: Path) -> None:
    """As in `privimage config demo | head -1`."""
    read, write = os.pipe()
    os.close(read)

    def nobody_reads() -> None:
        sys.stdout = os.fdopen(write, "w")

    code, text = finish(["config", "demo"], tmp_path / "output", nobody_reads)
    os.close(write)
    assert code == 141 and text == ""


@pytest.mark.parametrize(
    "words", [[], ["nothing"], ["run", "demo", "--nothing"], ["ledger"], ["synthesize", "demo"], ["list", "run.name=a"]]
)
def test_a_wrong_command_line_is_shown_the_right_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage(*words) == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith("usage: privimage")
    assert re.match(r"privimage( \w+)?: error: ", output.err.splitlines()[-1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu", "demo"], "there is no command 'rnu' (there are: run, init, compare, "),
        (["rnu", "demo"], "Did you mean 'run'?"),
        (["run", "demo", "--foo"], "usage: privimage run"),
        (["run", "demo", "--foo"], "unrecognized arguments: --foo; try: privimage run --help"),
        (["run", "demo", "--privacy.epsilon", "1"], "; write privacy.epsilon=VALUE"),
        (["list", "demo"], "usage: privimage list"),
    ],
)
def test_a_wrong_word_is_answered_with_the_one_that_was_meant(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert privimage(*words) == 2
    assert said in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("--help") == 0
    text = capsys.readouterr().out
    for command in ("run", "preflight", "config", "list", "ledger", "synthesize", "export"):
        assert re.search(rf"^ +{command}( |$)", text, flags=re.MULTILINE)
    assert "privimage run demo" in text


def test_a_terminal_without_greek_letters_is_no_error(tmp_path: Path) -> None:
    def plain() -> None:
        cast(io.TextIOWrapper, sys.stdout).reconfigure(encoding="ascii", errors="strict")

    code, text = finish(["run", "demo", "--help"], tmp_path / "output", plain)
    assert code == 0 and "?" in text and "Traceback" not in text


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("--version") == 0
    assert re.fullmatch(r"privimage \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_the_help_of_every_command_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """More than a line of description."""
    assert privimage(command, "--help") == 0
    described = capsys.readouterr().out.split("\n\n")[1:]
    assert len(" ".join(described).split("options:")[0].split()) > 25


def test_messages_of_a_child_can_be_told_from_warnings() -> None:
    assert errors("privimage: warning: a\nprivimage: b\n  classifier\n") == ["b"]
