"""A value is what was typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import UserError
from configs.loading import load, to_yaml
from configs.typed_values import typed_value

TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc {}[],:#'\"0", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("null", None), ("true", True), ("false", False), ("7", 7), ("-3", -3), ("1e3", 1000.0), (".5", 0.5)),
        *(("[1, 007, null]", [1, "007", None]), ("{a: 1:30}", {"a": "1:30"}), ("'null'", "null"), ('"a #b"', "a #b")),
    ],
)
def test_what_is_plainly_no_text_is_read(text: str, value: Any) -> None:
    assert typed_value("key", text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("data #1", "0100", "007", "1:30", "0x10", "1_000", "yes", "~", "2001-01-01", "a: b", "- a", "*a", "&a", "!a"),
        *("@a", "%a", "|", "${oc.env:HOME}", "a]", "#", "1 2", "nano", "é", "-"),
    ],
)
def test_everything_else_is_text_as_it_was_typed(text: str) -> None:
    assert typed_value("key", text) == text
    assert load("demo", ["sensitive.name=folder", f"sensitive.root={text}"]).sensitive.root == text


@given(TREES.filter(lambda tree: isinstance(tree, (list, dict))))
def test_lists_and_mappings_are_what_json_says(tree: Any) -> None:
    assert typed_value("key", json.dumps(tree)) == tree


@pytest.mark.parametrize("text", ["[1", "'a", '"a" b', "[1] #2", "[1 #2]", "{a: 1}}"])
def test_nothing_of_a_value_is_cut_off_in_silence(text: str) -> None:
    with pytest.raises(UserError, match=r"^key: cannot read"):
        typed_value("key", text)


@pytest.mark.parametrize(("text", "value"), [("0100", 100), ("100", 100)])
def test_a_number_that_begins_with_zeros_is_a_decimal_one(text: str, value: int) -> None:
    assert load("demo", [f"pretrain.steps={text}"]).pretrain.steps == value


@pytest.mark.parametrize("text", ["1:30", "0x10", "5 #6", "2001-01-01"])
def test_what_is_no_number_is_refused_where_one_is_asked_for(text: str) -> None:
    with pytest.raises(UserError, match=r"^pretrain\.steps: got "):
        load("demo", [f"pretrain.steps={text}"])


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert typed_value("key", "~/scans") == "/home/somebody/scans"


def test_an_environment_variable_is_neither_read_nor_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that looks like an interpolation of OmegaConf is text, also in the file of a run."""
    monkeypatch.setenv("SECRET", "s3cr3t")
    config = load("demo", ["run.root=${oc.env:SECRET}", "run.name=${"])
    path = tmp_path / "saved.yaml"
    path.write_text(to_yaml(config))
    assert "s3cr3t" not in path.read_text()
    assert load(str(path)) == config
