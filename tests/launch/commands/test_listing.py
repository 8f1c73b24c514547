"""`privimage list`."""

from __future__ import annotations

import json

import pytest

from configs.presets import preset_names
from configs.registry import Catalogue
from launch.run.stage import STAGES
from tests.launch.runs import privimage


def test_everything_that_can_be_named_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("list", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    for kind in ("experiments", "methods", "networks", "generator_networks", "discriminators"):
        assert any(sorted(names) == preset_names(kind) for names in told.values())
    for kind in (
        "source",
        "generator",
        "network",
        "generator_network",
        "discriminator",
        "sampler",
        "classifier",
        "score",
    ):
        assert any(sorted(names) == Catalogue.all[kind].names() for names in told.values())
    assert {"digits", "folder", "glyphs", "mnist"} <= told["sources"].keys() and "demo" in told["experiments"]
    assert told["stages"].keys() == STAGES.keys()
    for names in told.values():
        assert names and all(text for text in names.values())


def test_a_person_reads_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("list", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert privimage("list") == 0
    text = capsys.readouterr().out
    for names in told.values():
        for name, meaning in names.items():
            assert f"  {name:<22} {meaning}\n" in text
