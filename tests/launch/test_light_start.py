"""Help and configurations come at once: what takes seconds to import is not imported for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from launch.commands import COMMANDS
from launch.commands.export import FORMATS
from launch.run import exporting

HEAVY = ("torch", "lightning", "opacus", "torchvision", "sklearn", "matplotlib", "scipy", "wandb")
ASKED = f"""
import sys
from launch.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print("imported:", *[name for name in {HEAVY!r} if name in sys.modules])
sys.exit(code)
"""


def fresh(*words: str) -> subprocess.CompletedProcess[str]:
    """`privimage WORDS` in an interpreter of its own, which says at the end which heavy packages it has imported."""
    return subprocess.run([sys.executable, "-c", ASKED, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "words",
    [["--help"], ["list"], ["config", "demo"], ["run", "demo", "--help"], *([name, "--help"] for name in COMMANDS)],
    ids=" ".join,
)
def test_help_lists_and_configurations_import_nothing_heavy(words: list[str]) -> None:
    done = fresh(*words)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 150 and done.stdout.splitlines()[-1] == "imported:"


def test_a_mistake_in_a_configuration_is_found_before_anything_heavy_is_imported() -> None:
    done = fresh("run", "demo", "privacy.epsilom=1")
    assert done.returncode == 2 and "Did you mean privacy.epsilon?" in done.stderr
    assert done.stdout.splitlines()[-1] == "imported:"


@pytest.mark.slow
def test_a_command_needs_no_other_one_to_have_been_imported(tmp_path: Path) -> None:
    """Each registers what it needs itself: `export` loads a configuration, whose names are those of all components."""
    for name, module in COMMANDS.items():
        code = f"import {module.__name__} as command; command.add"
        if name == "export":
            code += "; from configs.loading import load; load('demo')"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


LOADED = """
import sys
import launch.pipeline
from launch import components
components.load()
assert "wandb" not in sys.modules  # which takes a second, and only runs that send something need it
from configs.registry import Catalogue
from datamodules.sources.source import SOURCES
from evaluation.scorer import SCORERS
from evolution.api import APIS
from launch.tracking.tracker import TRACKERS
from lightning_modules import registries
from lightning_modules.dp_sgd.engine import ENGINES
models = [value for value in vars(registries).values() if isinstance(value, registries.Registry)]
every = [SOURCES, SCORERS, APIS, TRACKERS, *models]
assert {id(registry.catalogue) for registry in every} == set(map(id, Catalogue.all.values()))
for registry in every:
    for name in registry.names():
        registry.implementation(name)
assert {"fused", "opacus"} <= set(ENGINES)
"""


@pytest.mark.slow
def test_what_load_imports_builds_every_name_of_every_catalogue() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_formats_that_export_offers_are_those_that_there_are() -> None:
    assert set(FORMATS) == set(exporting.FORMATS)
