"""What a person sees."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch.console import Console, plain_warnings, table


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.line("demo")
    console.stage("query", "done")
    output = capsys.readouterr()
    assert output.out == "" and output.err == "demo\n  query       done\n"
    assert console.progress


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    console.line("demo")
    console.stage("query", "done")
    assert capsys.readouterr() == ("", "") and not console.progress


def test_warnings_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        plain_warnings()
        warnings.warn("a weak guarantee", stacklevel=1)
    assert capsys.readouterr().err == "privimage: warning: a weak guarantee\n"


CELLS = st.text("abcé0123456789", min_size=1, max_size=6)


TABLES = st.integers(1, 4).flatmap(lambda wide: st.lists(st.lists(CELLS, min_size=wide, max_size=wide), min_size=1))


@given(TABLES)
def test_columns_line_up(rows: list[list[str]]) -> None:
    heading, rule, *lines = table(rows).split("\n")
    assert len(lines) == len(rows) - 1
    ends = [index for index, character in enumerate(rule + " ") if character == " "][::2]
    for row, line in zip(rows, [heading, *lines], strict=True):
        assert line.split() == row
        assert line.startswith(row[0])
        for cell, end in zip(row[1:], ends[1:], strict=True):
            assert line[:end].endswith(cell)
