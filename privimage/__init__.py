"""PrivImage from Python: run an experiment, plan its budget, load a release, read a ledger.

Importing this package is quick: what takes seconds (torch, Lightning) is imported when a function is first used. See
docs/python.md.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accounting.ledger import LedgerError
    from configs.errors import UserError
    from privimage.ledgers import open_ledger
    from privimage.planning import Plan, plan
    from privimage.releases import Release, load_release
    from privimage.running import Result, run

__version__ = version("privimage")
__all__ = [
    "LedgerError",
    "Plan",
    "Release",
    "Result",
    "UserError",
    "__version__",
    "load_release",
    "open_ledger",
    "plan",
    "run",
]
_MODULES = {
    "LedgerError": "accounting.ledger",
    "Plan": "privimage.planning",
    "Release": "privimage.releases",
    "Result": "privimage.running",
    "UserError": "configs.errors",
    "load_release": "privimage.releases",
    "open_ledger": "privimage.ledgers",
    "plan": "privimage.planning",
    "run": "privimage.running",
}
_FOLDERS = (
    "accounting",
    "configs",
    "datamodules",
    "evaluation",
    "evolution",
    "launch",
    "lightning_modules",
    "semantics",
)


def __getattr__(name: str) -> Any:
    """A name of this package, imported when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'privimage' has no attribute {name!r} (there are: {', '.join(__all__)})")
    try:
        value = getattr(import_module(_MODULES[name]), name)
    except ImportError as error:
        taken = _taken()
        if taken is None:
            raise
        raise ImportError(
            f"Python finds another package called '{taken[0]}', in '{taken[1]}', before the one that PrivImage needs. "
            "Rename that one, or start your script from a folder without it."
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _taken() -> tuple[str, str] | None:
    """The name of a folder of PrivImage that Python finds elsewhere, and where; None if there is no such one."""
    home = Path(__file__).resolve().parent.parent
    for name in _FOLDERS:
        found = find_spec(name)
        if found is None:
            continue
        places = [*(found.submodule_search_locations or []), *([found.origin] if found.origin else [])]
        if places and not any(Path(place).resolve().is_relative_to(home / name) for place in places):
            return name, str(places[0])
    return None
