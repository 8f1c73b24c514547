"""Every configuration key is read by code: no key is without effect."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import launch.stages  # noqa: F401  (registers the stages)
from configs.registry import Catalogue
from configs.schema import Experiment
from launch.run.stage import STAGES

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "accounting",
    "configs",
    "datamodules",
    "evaluation",
    "evolution",
    "launch",
    "lightning_modules",
    "semantics",
)
SECTIONS = {
    type(value): field.name
    for field in dataclasses.fields(Experiment)
    if dataclasses.is_dataclass(value := getattr(Experiment(), field.name))
}
PARTS = [registry.config(name) for registry in Catalogue.all.values() for name in registry.names()]
KEYS = [
    pytest.param(kind, field.name, id=f"{kind.__module__}.{kind.__name__}.{field.name}")
    for kind in [Experiment, *SECTIONS, *PARTS]
    for field in dataclasses.fields(kind)
    if not (kind in PARTS and field.name == "name")  # what a registry picks the part by
]


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the project."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }


@cache
def names_in(module: str) -> set[str]:
    """The attributes and imported names of a module; without the right ones it reads no configuration of a kind."""
    nodes = list(ast.walk(modules()[module]))
    imported = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return imported | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


class Reader:
    """Finds the keys that one module reads from configurations of one kind.

    A configuration may be in an argument annotated with the kind, in the section's attribute (`….finetune`), and in
    names and attributes to which one of these is assigned. Names count only within their function, attributes within
    their class.
    """

    def __init__(self, kind: type, module: str, tree: ast.Module) -> None:
        self.tree = tree
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == kind.__module__
            for alias in node.names
        }
        known = module == kind.__module__ or kind.__name__ in imported
        self.type_name = kind.__name__ if known else None
        self.sections = {SECTIONS[kind]} if kind in SECTIONS else set()
        if kind is Experiment and module.startswith("launch."):
            self.sections = {"config"}

    def reads(self) -> set[str]:
        found: set[str] = set()
        for unit in self.tree.body:
            self.attributes = set(self.sections)
            for _ in range(2):  # the attributes that `__init__` sets are read by the methods before and after it
                for node in ast.walk(unit):
                    if isinstance(node, ast.FunctionDef):
                        found |= set(self.reads_of(node))
        return found

    def reads_of(self, function: ast.FunctionDef) -> Iterator[str]:
        names = {
            node.arg for node in ast.walk(function) if isinstance(node, ast.arg) and self.is_annotated(node.annotation)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                self.follow(node.targets[0], node.value, names)
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and self.holds(node.value, names):
                yield node.attr

    def is_annotated(self, annotation: ast.expr | None) -> bool:
        nodes = ast.walk(annotation) if annotation is not None else ()
        return any(isinstance(node, ast.Name) and node.id == self.type_name for node in nodes)

    def follow(self, target: ast.expr, value: ast.expr, names: set[str]) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, other in zip(target.elts, value.elts, strict=False):
                self.follow(one, other, names)
        elif isinstance(target, ast.Name) and self.holds(value, names):
            names.add(target.id)
        elif isinstance(target, ast.Attribute) and self.holds(value, names):
            self.attributes.add(target.attr)

    def holds(self, node: ast.expr, names: set[str]) -> bool:
        if isinstance(node, ast.Name):
            return node.id in names
        return isinstance(node, ast.Attribute) and node.attr in self.attributes


def reads(kind: type, module: str) -> set[str]:
    """The attributes that a module reads from configurations of a kind."""
    section = {"config"} if kind is Experiment else {SECTIONS[kind]} if kind in SECTIONS else set()
    if module != kind.__module__ and not names_in(module) & {kind.__name__, *section}:
        return set()
    return Reader(kind, module, modules()[module]).reads()


@cache
def read_by_code(kind: type) -> set[str]:
    """The attributes that any module reads from a configuration of this kind, or of one whose keys it inherits."""
    kinds = [base for base in kind.__mro__ if dataclasses.is_dataclass(base)]
    found = set().union(*(reads(each, module) for each in kinds for module in modules()))
    if kind is Experiment:  # what a stage names, its fingerprint reads
        found |= {name for stage in STAGES.values() for name in stage.keys}
    return found


@pytest.mark.parametrize(("kind", "name"), KEYS)
def test_key_is_read(kind: type, name: str) -> None:
    assert name in read_by_code(kind)


def test_a_key_that_nothing_reads_is_found_out() -> None:
    """Neither a made-up key, nor one that only other parts have, counts as read."""
    kinds = [Experiment, *SECTIONS, *PARTS]
    everything = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    for kind in kinds:
        read = read_by_code(kind)
        own = {field.name for field in dataclasses.fields(kind)}
        assert "made_up_key" not in read
        assert not read & (everything - own), f"{kind.__name__}: {sorted(read & (everything - own))}"


def test_to_declare_or_to_set_is_not_to_read() -> None:
    source = """
class Keys:
    seen: int
    lost: int
    stored: int
class User:
    def __init__(self, keys: Keys):
        self.keys = keys
        keys.lost = keys.seen
    def use(self):
        mine = self.keys
        return mine.stored
def other(keys: Others):
    return keys.lost
"""
    kind = dataclasses.make_dataclass("Keys", ["seen", "lost", "stored"], namespace={"__module__": __name__})
    assert Reader(kind, __name__, ast.parse(source)).reads() == {"seen", "stored"}


def test_components_of_every_kind_are_looked_at() -> None:
    modules = {kind.__module__.rpartition(".")[2] for kind in PARTS}
    assert modules == {"apis", "generators", "networks", "samplers", "scorers", "sources", "trackers"}
