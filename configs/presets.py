"""The YAML files of `configs/`, and what a preset says for one component or method only."""

from __future__ import annotations

import copy
import typing
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from configs.errors import UserError
from configs.schema import Experiment

PRESETS = Path(__file__).resolve().parent
Tree = dict[str, Any]


def preset_names(kind: str) -> list[str]:
    """The names of the presets in a folder of `configs`."""
    return sorted(path.stem for path in (PRESETS / kind).glob("*.yaml"))


def read_preset(kind: str, name: str) -> Tree:
    """A preset by name, or a YAML file by path."""
    given = str(name).endswith((".yaml", ".yml"))
    path = Path(name) if given else PRESETS / kind / f"{name}.yaml"
    if given and not path.is_file():
        raise UserError(f"'{name}' is a folder, not a file." if path.is_dir() else f"there is no file '{name}'.")
    if not path.is_file():
        near = get_close_matches(str(name), preset_names(kind), n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise UserError(
            f"there is no {kind.rstrip('s')} '{name}' (there are: {', '.join(preset_names(kind))}; "
            f"or give the path of a .yaml file).{hint}"
        )
    try:
        tree = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: must hold `section: {{key: value}}` pairs, not {type(tree).__name__}.")
    return typing.cast(Tree, tree)


VARIANTS = {"for_sensitive": ("sensitive",), "for_api": ("evolution", "api"), "for_generator": ("generator",)}
"""Groups of a preset that apply to one choice of a component only, and where that component is. Later groups win."""


def variants(preset: Tree, given: Tree, overlay: Tree) -> list[Tree]:
    """A preset's general settings, followed by those for the components that will be chosen."""
    settings = {name: value for name, value in preset.items() if name not in (*VARIANTS, "for_method")}
    layers = [given, settings, overlay]
    return [settings, *(variant(choices_of(preset, group, "component"), layers, group) for group in VARIANTS)]


def made_for(preset: Tree) -> tuple[str, ...]:
    """The sources of sensitive images that a preset's settings were made for; empty if it does not say."""
    return tuple(choices_of(preset, "for_sensitive", "source"))


def for_method(preset: Tree, method: str) -> Tree:
    """A preset's settings for one method only."""
    choices, known = choices_of(preset, "for_method", "method"), preset_names("methods")
    for name in choices:
        if name not in known:
            raise UserError(f"for_method: there is no method '{name}' (there are: {', '.join(known)}).")
    found: Tree = copy.deepcopy(choices.get(method, {}))
    return found


def choices_of(preset: Tree, group: str, kind: str) -> Tree:
    """What a preset has under `group`: settings by the name of a component or a method."""
    choices = preset.get(group) or {}
    if not isinstance(choices, dict) or not all(isinstance(value, dict) for value in choices.values()):
        raise UserError(f"{group}: write the name of a {kind} and, under it, groups of keys.")
    return choices


def variant(choices: Tree, layers: list[Tree], group: str) -> Tree:
    """The settings of one group for the component that the layers choose; the first layer that names one decides."""
    *sections, last = VARIANTS[group]
    default: Any = Experiment()
    for section in sections:
        default = getattr(default, section)
    named = (part_of(layer, VARIANTS[group]) for layer in layers)
    name = next(
        (part["name"] for part in named if isinstance(part, dict) and "name" in part), getattr(default, last).name
    )
    if not isinstance(name, str) or name not in choices:  # an invalid name is reported with the other keys
        return {}
    tree: Tree = copy.deepcopy(choices[name])
    node = tree
    for section in VARIANTS[group]:
        node = node.setdefault(section, {})
    node.setdefault("name", name)
    return tree


def part_of(tree: Tree, place: tuple[str, ...]) -> Any:
    """The value at a place in a tree, or None."""
    node: Any = tree
    for name in place:
        node = node.get(name) if isinstance(node, dict) else None
    return node


def for_another_method(tree: Tree, own: Tree, other: Tree) -> Tree:
    """What a file that was written for one method says that holds for another one as well.

    That is everything but the keys that either method sets and the components that only one of them chooses.

    Args:
        tree: settings of the file.
        own: overlay of the method that it was written for.
        other: overlay of the other method.
    """
    left: Tree = {}
    for key, value in tree.items():
        if key not in own and key not in other:
            left[key] = value
        elif isinstance(value, dict):
            mine, theirs = own.get(key, {}), other.get(key, {})
            if "name" not in value or ("name" not in mine and "name" not in theirs):
                left[key] = for_another_method(value, mine, theirs)
            elif theirs.get("name") == value["name"]:
                left[key] = {**for_another_method(value, mine, theirs), "name": value["name"]}
    return left
