"""A user's own simulator, given by the path of its file."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from configs.components.apis import ImportedApiConfig
from configs.errors import UserError
from evolution.api import APIS, EvolutionApi, Surroundings, contained


@APIS.register(ImportedApiConfig)
def imported(config: ImportedApiConfig, surroundings: Surroundings) -> EvolutionApi:
    """A class of your own: `Class(image=…, class_names=…, **settings)` with methods `random` and `vary`.

    Raises:
        UserError: if there is no such class, it cannot be built, or it lacks a method.
    """
    file, colon, name = config.path.rpartition(":")
    if not colon or not file or not name:
        raise UserError(f"path: got {config.path!r}; give a file and a class in it, such as shapes.py:Shapes.")
    kind = getattr(loaded(Path(file)), name, None)
    if not callable(kind):
        raise UserError(f"path: '{file}' has no class '{name}'.")
    image, settings = replace(surroundings.image), copy.deepcopy(config.settings)  # the class may change them
    try:
        with contained():
            api = kind(image=image, class_names=surroundings.class_names, **settings)
    except (Exception, SystemExit) as error:
        raise UserError(f"path: {name} of '{file}' cannot be built: {type(error).__name__}: {error}") from error
    missing = [method for method in ("random", "vary") if not callable(getattr(api, method, None))]
    if missing:
        raise UserError(f"path: {name} of '{file}' has no method {' and no '.join(missing)}.")
    return api


def loaded(path: Path) -> Any:
    """The module in a file.

    Raises:
        UserError: if there is no such file or it cannot be run.
    """
    if not path.is_file():
        raise UserError(f"path: there is no file '{path}'.")
    own = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]  # two files may have the same name
    specification = importlib.util.spec_from_file_location(f"evolution_api_{path.stem}_{own}", path)
    if specification is None or specification.loader is None:
        raise UserError(f"path: '{path}' is not a Python file.")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look up their module
    try:
        with contained():
            specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(f"path: '{path}' failed: {type(error).__name__}: {error}") from error
    return module
