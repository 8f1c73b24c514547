"""The file that `privimage init` writes."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.loading import escaped
from launch.proposal.choices import Choice
from launch.proposal.draft import Draft, flow

text = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029\ufeff")
)
values = st.recursive(
    st.one_of(text, st.integers(), st.booleans(), st.floats(-1e6, 1e6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b"]), inner)),
)


@given(values)
def test_what_is_written_reads_back_the_same(value: object) -> None:
    assert yaml.safe_load(f"key: {flow(value)}")["key"] == escaped(value)


@given(st.sampled_from(["yes", "No", "null", "on", "1", "1:30", "0100", "a b", "#", "é", "$x", "{", "-", "~", "inf"]))
def test_names_stay_names(name: str) -> None:
    assert yaml.safe_load(f"key: [{flow(name)}]")["key"] == [name]


def test_names_of_folders_add_no_keys() -> None:
    draft = Draft(
        "mine", ["cat\nprivacy: {epsilon: 1000}", "caf\udce9"], {}, {"name": "folder", "root": "a\nb"}, {"name": "x"}
    )
    written = draft.text([])
    assert yaml.safe_load(written.encode().decode()) == {
        "method": "privimage_d",
        "run": {"name": "mine"},
        "image": {},
        "sensitive": {"name": "folder", "root": "a\nb"},
        "public": {"name": "x"},
    }


def test_sections_and_reasons() -> None:
    draft = Draft(
        "mine", ["Two images."], {"resolution": 8, "channels": 1}, {"name": "folder", "root": "a b"}, {"name": "x"}
    )
    written = draft.text([Choice("a.b", 1, "why"), Choice("a.c", [1], ""), Choice("d.e", {"f": 2}, "because")])
    assert yaml.safe_load(written) == {
        "method": "privimage_d",
        "run": {"name": "mine"},
        "image": {"resolution": 8, "channels": 1},
        "sensitive": {"name": "folder", "root": "a b"},
        "public": {"name": "x"},
        "a": {"b": 1, "c": [1]},
        "d": {"e": {"f": 2}},
    }
    assert written.startswith("# Two images.\n") and "# why\n" in written and "# because\n" in written
