"""The part of a configuration that a dashboard may show: choices and numbers, no free text."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from configs.fields import section_type
from configs.schema import Experiment

LEFT_OUT = ("tracking", "wandb", "launch", "slurm", "run")  # about the machine and the dashboard, not the experiment


def shown_config(config: Experiment) -> dict[str, Any]:
    """The configuration as nested plain values, without anything that a user typed as free text.

    Free text may be a path on this machine or the run's key. Numbers, switches, names of registered parts and values
    chosen from a list stay.
    """
    shown = shown_keys(config)
    return {"seed": config.run.seed} | {name: value for name, value in shown.items() if name not in LEFT_OUT}


def shown_keys(config: Any, part: bool = False) -> dict[str, Any]:
    """The keys of one dataclass that may be shown, with their values.

    Args:
        config: the dataclass.
        part: whether it is a registered part, so that its `name` is chosen from a list.
    """
    shown: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            shown[field.name] = shown_keys(value, "registry" in field.metadata)
        elif (part and field.name == "name") or field.metadata.get("choices") or not free_text(config, field):
            shown[field.name] = value
    return shown


def free_text(config: Any, field: dataclasses.Field[Any]) -> bool:
    """Whether a key accepts any text, lists of text, or values of an unknown type."""
    kind = section_type(type(config), field)
    return kind is Any or str in (kind, *typing.get_args(kind)) or typing.get_origin(kind) is dict
