"""A configuration on a dashboard: numbers and choices, and no text that somebody typed."""

from __future__ import annotations

import dataclasses
import json
import secrets
from typing import Any

import pytest

from configs.fields import section_type
from configs.loading import load
from configs.schema import Experiment
from launch.tracking.shown_config import shown_config
from tests.launch.runs import FIXED, KEY

DEMO = load("demo", [FIXED])


def with_secrets(config: Any) -> tuple[Any, list[str]]:
    """A copy in which every key for free text is a secret word, and these words."""
    changes: dict[str, Any] = {}
    words: list[str] = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name], found = with_secrets(value)
            words += found
        elif field.name not in ("name", "method") and not field.metadata.get("choices"):
            kind = str(section_type(type(config), field))
            if "str" in kind:
                words.append(secrets.token_hex(8))
                changes[field.name] = [words[-1]] if "list" in kind else words[-1]
    return dataclasses.replace(config, **changes), words


def test_no_text_of_any_key_is_shown() -> None:
    config, words = with_secrets(DEMO)
    shown = json.dumps(shown_config(config))
    assert len(words) >= 10 and not [word for word in words if word in shown]


def test_paths_and_the_key_are_not_shown(tmp_path: Any) -> None:
    (tmp_path / "patients" / "a").mkdir(parents=True)
    config = load("demo", ["sensitive.name=folder", f"sensitive.root={tmp_path / 'patients'}", FIXED])
    shown = json.dumps(shown_config(config))
    assert "patients" not in shown and KEY not in shown
    assert shown_config(config)["sensitive"]["name"] == "folder"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 0),
        ("privacy.epsilon", 10.0),
        ("finetune.engine", "fused"),
        ("finetune.micro_batch", "auto"),
        ("generator.name", "diffusion"),
        ("generator.sampler.steps", 20),
        ("public.name", "glyphs"),
        ("classifier.network.blocks", [1, 1, 1]),
        ("sensitive.name", "digits"),
    ],
)
def test_numbers_and_choices_are_shown(path: str, value: Any) -> None:
    shown: Any = shown_config(load("demo", ["finetune.micro_batch=auto"]))
    for name in path.split("."):
        shown = shown[name]
    assert shown == value


def test_settings_of_the_machine_are_left_out() -> None:
    assert not {"launch", "slurm", "run", "wandb", "tracking"} & shown_config(Experiment()).keys()
