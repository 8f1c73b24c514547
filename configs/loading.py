"""Configuration: preset, method overlay and command-line overrides, merged and checked against typed dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import re
import typing
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import configs.components  # noqa: F401  (the names of every component)
from configs.errors import UserError
from configs.fields import alternatives, expected, first_key, section_type, walk, within
from configs.presets import Tree, for_another_method, for_method, part_of, read_preset, variants
from configs.registry import Catalogue
from configs.schema import Experiment
from configs.typed_values import typed_value


@dataclasses.dataclass(frozen=True)
class Written:
    """A plain value from the command line."""

    text: str
    """As it was typed, for keys that are text."""
    value: Any
    """As YAML reads it."""


def load(experiment: str, overrides: list[str] | None = None) -> Experiment:
    """The configuration of an experiment: method overlay < preset < overrides, each key checked.

    Within a preset, `for_method.NAME` overrides `for_generator.NAME`, which overrides `for_api.NAME` (the API of
    Private Evolution), which overrides `for_sensitive.NAME` (the source of the sensitive images), which overrides the
    rest. If the file states a method and another one is asked for, its stages and components are those of that one.

    Args:
        experiment: name of a preset in `configs/experiments`, or path of a YAML file.
        overrides: `section.key=value` each.

    Raises:
        UserError: for an unknown key, a wrong type or an impossible value.
    """
    preset = read_preset("experiments", experiment)
    given = parse_overrides(overrides or [])
    own = preset.get("method") or Experiment().method
    method = given.get("method") or own
    stem = Path(experiment).stem
    tree: Tree = {"run": {"name": stem}, "wandb": {"group": stem}, "method": method}
    overlay = read_preset("methods", method)
    if "method" in preset and method != own:
        preset = for_another_method(preset, read_preset("methods", own), overlay)
    for layer in (overlay, *variants(preset, given, overlay), for_method(preset, method), given):
        tree = merge(tree, layer, Experiment, "")
    if (
        method != own and part_of(given, ("run", "name")) is None
    ):  # otherwise it would find the run of the preset's own method
        tree["run"]["name"] = f"{tree['run']['name']}-{method}"
    config: Experiment = typed(Experiment, tree, "")
    return config


def parse_overrides(overrides: list[str]) -> Tree:
    """`a.b=value` strings as a tree; values are read as `typed_value` says."""
    tree: Tree = {}
    for override in overrides:
        path, equals, value = override.partition("=")
        if not equals or not path:
            raise UserError(f"'{override}' is not an override. Write section.key=value, such as privacy.epsilon=1.")
        if not value.strip():
            raise UserError(
                f"{path}: there is no value. Write {path}=null for no value, or {path}=\"''\" for an empty text."
            )
        node = tree
        *parents, last = path.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise UserError(f"{path}: an earlier override gives '{parent}' a plain value, so it has no keys.")
        read = typed_value(path, value)
        node[last] = read if isinstance(read, (str, list, dict)) else Written(value, read)
    return tree


def merge(low: Tree, high: Tree, kind: type, path: str) -> Tree:
    """Lay one tree over another. A component that gets another name forgets the keys of the old one."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    merged = dict(low)
    for name, value in high.items():
        field = fields.get(name)
        here = f"{path}{name}"
        if field is None or not isinstance(value, dict):
            merged[name] = value
            continue
        below = merged.get(name) or {}
        if "registry" not in field.metadata and not dataclasses.is_dataclass(section_type(kind, field)):
            merged[name] = value
            continue
        if not isinstance(below, dict):
            raise UserError(f"{here}: got {below!r}; it is a group of keys.")
        if "registry" not in field.metadata:
            merged[name] = merge(below, value, section_type(kind, field), here + ".")
            continue
        registry = Catalogue.all[field.metadata["registry"]]
        if "preset" in value:
            value = {**read_preset(f"{registry.kind}s", value["preset"]), **value}
            value.pop("preset")
        was = below.get("name", field.metadata["default"])
        now = value.get("name", was)
        merged[name] = merge(
            below if now == was else {}, {**value, "name": now}, registry_config(registry, now, here), here + "."
        )
    return merged


def typed(kind: type, tree: Tree, path: str) -> Any:
    """An instance of a configuration dataclass from a tree, with every key checked."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in tree:
        if name not in fields:
            raise unknown_key(path, str(name), list(fields), tree.get("name"))
    return kind(**{name: read_field(kind, field, tree, path) for name, field in fields.items()})


def read_field(kind: type, field: dataclasses.Field[Any], tree: Tree, path: str) -> Any:
    """One value of a configuration dataclass: a component, a section or a plain key."""
    here = f"{path}{field.name}"
    if "registry" in field.metadata:
        registry = Catalogue.all[field.metadata["registry"]]
        value = tree.get(field.name) or {}
        if not isinstance(value, dict):
            raise UserError(
                f"{here}: got {plain(value)!r}; choose with {here}.name=… (there are: {', '.join(registry.names())})."
            )
        name = value.get("name", field.metadata["default"])
        return typed(registry_config(registry, name, here), {**value, "name": name}, here + ".")
    if dataclasses.is_dataclass(section_type(kind, field)):
        value = tree.get(field.name) or {}
        if not isinstance(value, dict):
            raise UserError(
                f"{here}: got {plain(value)!r}; it is a group of keys, such as {here}.{first_key(kind, field)}=…."
            )
        return typed(section_type(kind, field), value, here + ".")
    return read_key(kind, field, tree, here)


def plain(value: Any) -> Any:
    """A value as YAML reads it."""
    return value.value if isinstance(value, Written) else value


def read_key(kind: type, field: dataclasses.Field[Any], tree: Tree, here: str) -> Any:
    """A plain key. OmegaConf converts and checks its type, `within` its range."""
    if field.name not in tree:
        return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    value = tree[field.name]
    annotation = section_type(kind, field)
    node = copy.deepcopy(slot(annotation))
    plain_text = typing.get_origin(annotation) is not dict and str in (annotation, *typing.get_args(annotation))
    if isinstance(value, Written):
        value = value.text if plain_text and value.value is not None else value.value
    may_be = expected(kind, field)
    if plain_text and value is not None and not isinstance(value, (str, list)):
        raise UserError(f"{here}: got {value!r}; allowed is {may_be}. Put it in quotes.")
    if plain_text and isinstance(value, str):
        return checked(value, field, here, may_be)
    kinds = alternatives(section_type(kind, field))
    try:
        if type(value) is int and float in kinds and int not in kinds:
            value = float(value)  # OmegaConf converts for a plain float, but not if other types are allowed as well
        if isinstance(value, float) and int in kinds:
            if not value.is_integer():
                raise UserError(f"{here}: got {value!r}; allowed is {may_be}.")
            value = int(value)
        OmegaConf.update(node, "value", escaped(value), merge=False)
        value = OmegaConf.to_container(node, resolve=True)["value"]  # type: ignore[index, call-overload]
    except OmegaConfBaseException as error:
        raise UserError(f"{here}: got {value!r}; allowed is {may_be}.") from error
    return checked(value, field, here, may_be)


def checked(value: Any, field: dataclasses.Field[Any], here: str, may_be: str) -> Any:
    """A value of the right type, if it is in the range of its key."""
    if not within(value, field.metadata):
        raise UserError(f"{here}: got {value!r}; allowed is {may_be}.")
    return value


@cache
def slot(annotation: Any) -> Any:
    """A place for one value of a type, which OmegaConf converts and checks."""
    return OmegaConf.structured(dataclasses.make_dataclass("Slot", [("value", annotation, MISSING)]))


def registry_config(registry: Catalogue, name: str, path: str) -> type:
    """The configuration dataclass of a component; the message of a UserError begins with the key."""
    try:
        return registry.config(name)
    except UserError as error:
        raise UserError(f"{path}.name: {error}") from error


def unknown_key(path: str, name: str, known: list[str], component: str | None = None) -> UserError:
    """The message for an unknown key, with the key that was probably meant."""
    near = get_close_matches(name, known, n=1)
    others = [
        other
        for registry in Catalogue.all.values()
        if component in registry.names()
        for other in registry.names()
        if name in {field.name for field in dataclasses.fields(registry.config(other))}
    ]
    elsewhere = [full for full, _ in walk(Experiment()) if full.split(".")[-1] == name]
    if near:
        hint = f" Did you mean {path}{near[0]}?"
    elif others:
        hint = f" '{component}' has no such key; {path}name={others[0]} has."
    else:
        hint = f" Did you mean {elsewhere[0]}?" if elsewhere else ""
    return UserError(f"{path}{name}: unknown key.{hint} Allowed here: {', '.join(known)}.")


def to_yaml(config: Experiment) -> str:
    """The resolved configuration as YAML. Reading it back gives the same configuration."""
    return OmegaConf.to_yaml(OmegaConf.create(escaped(dataclasses.asdict(config))))


def escaped(value: Any) -> Any:
    """A value in which OmegaConf, which reads it back, finds no interpolation: text with `${` means itself."""
    if isinstance(value, dict):
        return {key: escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [escaped(each) for each in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


MEMORY = ("micro_batch", "memory_gib")
"""Keys of a stage that decide how much it holds in memory at once. They never change its result."""
FREE = (
    *("launch.", "slurm.", "run.root", "run.share", "tracking", "wandb."),
    *(f"{stage}.{name}" for stage in ("classifier", "pretrain", "finetune") for name in MEMORY),
)
"""Keys that may change between two commands on one run."""


def differences(old: Experiment, new: Experiment, ignore: tuple[str, ...] = FREE) -> list[str]:
    """The differences between two configurations, one line each, without the keys that do not affect the result."""
    before, after = dict(walk(old)), dict(walk(new))
    return [
        f"{path}: {before.get(path, 'not set')!r} there, {after.get(path, 'not set')!r} here"
        for path in {**before, **after}
        if not path.startswith(ignore) and before.get(path) != after.get(path)
    ]
