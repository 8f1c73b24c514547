"""No circle of imports of any kind; imports inside functions and imports only for types count as well."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "accounting",
    "configs",
    "datamodules",
    "evaluation",
    "evolution",
    "launch",
    "lightning_modules",
    "privimage",
    "semantics",
)


def module_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, modules: set[str]) -> Iterator[str]:
    """Modules of the project that a file imports, anywhere in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found = inner if inner in modules else node.module
                if found in modules:
                    yield found


def imports(root: Path, packages: tuple[str, ...]) -> dict[str, set[str]]:
    """What each module imports, by name."""
    paths = {module_of(path, root): path for package in packages for path in (root / package).rglob("*.py")}
    return {
        name: set(imported(ast.parse(path.read_text()), set(paths))) - {name} for name, path in sorted(paths.items())
    }


def circle(graph: dict[str, set[str]]) -> list[str] | None:
    """The modules of a circle in order, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def test_no_module_imports_itself_by_any_way_round() -> None:
    found = circle(imports(ROOT, PACKAGES))
    assert found is None, "a circle of imports: " + " <- ".join(found)


@pytest.mark.parametrize(
    "back",
    [
        "from room.first import value",
        "def later():\n    import room.first",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from room import first",
    ],
)
def test_a_circle_is_found_where_it_is_closed_inside_a_function_or_for_types(tmp_path: Path, back: str) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "__init__.py").write_text("")
    (tmp_path / "room" / "first.py").write_text("from room.second import other\n")
    (tmp_path / "room" / "second.py").write_text(back + "\n")
    assert set(circle(imports(tmp_path, ("room",))) or ()) == {"room.first", "room.second"}
    (tmp_path / "room" / "second.py").write_text("import os\n")
    assert circle(imports(tmp_path, ("room",))) is None
