"""Public images that are sensitive ones: nothing protects a record that public training saw."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from configs.errors import UserError
from configs.schema import Experiment
from datamodules.reading.image_folder import named
from datamodules.sources import Source
from launch.components import naming

Identity = tuple[int, int]
"""Device and inode of a file: hard links share them, and a link has those of what it leads to."""

ADVICE = "Public training protects nobody: give another public set, without any sensitive record in it."


def check_apart(config: Experiment, public: Source, sensitive: Source) -> None:
    """The public images must not be the sensitive ones, by their folders or file by file. Opens no image.

    UserError where one folder is in the other, or a file of the one is a file of the other, whatever links lead to it;
    copies are not noticed (`privimage preflight --overlap` finds them). Both splits of both sets count: the release
    must not depend on sensitive test images either.
    """
    if same_place(config, public, sensitive):
        where = getattr(config.public, "root", "") or config.public.name
        raise UserError(f"public: the same images as sensitive ('{where}'). {ADVICE}")
    check_files_apart(public, sensitive)


def same_place(config: Experiment, public: Source, sensitive: Source) -> bool:
    """Whether one folder of images is in the other, or both sets are the same benchmark, in whatever copies."""
    if config.public.name == config.sensitive.name and getattr(type(sensitive), "public_benchmark", False) is True:
        return True  # a constant of the source: its name says which images these are
    if public.folders and sensitive.folders:
        pairs = [(one.resolve(), other.resolve()) for one in public.folders for other in sensitive.folders]
    elif config.public.name == config.sensitive.name:
        one, other = (Path(getattr(source, "root", "")).resolve() for source in (config.public, config.sensitive))
        pairs = [(one, other)]
    else:
        return False
    return any(one.is_relative_to(other) or other.is_relative_to(one) for one, other in pairs)


def check_files_apart(public: Source, sensitive: Source) -> None:
    """UserError where a file is read as a public and as a sensitive image. Opens none, compares devices and inodes."""
    files = paths("public", public)
    first = next(files, None)
    if first is None:  # nothing to compare with: the sensitive files need not be listed
        return
    splits: dict[Identity, str] = {}
    for test, split in ((True, "test"), (False, "training")):
        with naming("sensitive"):
            splits |= {identity: split for identity, _ in identified(sensitive.paths(test=test))}
    shared = {path: splits[identity] for identity, path in identified(chain([first], files)) if identity in splits}
    for split in ("training", "test"):
        found = [path for path, of in shared.items() if of == split]
        if found:
            raise UserError(
                f"public: {len(found)} of its files are files of sensitive {split} images, by links or by hard links: "
                f"{named(shown(found, public, sensitive))}. {ADVICE}"
            )


def paths(section: str, source: Source) -> Iterator[Path]:
    """The files of both splits."""
    with naming(section):
        for test in (False, True):
            yield from source.paths(test=test)


def shown(found: list[Path], public: Source, sensitive: Source) -> list[str]:
    """What a message may name: public files where the sensitive set is a public benchmark, else public categories.

    A link mostly bears the name of what it leads to, and names of sensitive files are not for a job's log.
    """
    if sensitive.public_benchmark:
        return [str(path) for path in found]
    return sorted({category(path, public) for path in found})


def category(path: Path, public: Source) -> str:
    """The sub-folder of a public root that a file is in, the root for files in none; no name for files elsewhere."""
    roots = [*public.folders, *([test] if (test := getattr(public, "test_root", None)) else [])]
    root = next((root for root in roots if path.is_relative_to(root)), None)
    if root is None:
        return "files outside the public root"
    parts = path.relative_to(root).parts
    return str(root / parts[0] if len(parts) > 1 else root)


def identified(paths: Iterable[Path]) -> Iterator[tuple[Identity, Path]]:
    """Each file with its identity; opens none. Links that lead nowhere are passed over: nothing can be read by them."""
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:
            continue
        yield (found.st_dev, found.st_ino), path
