"""Public images that are sensitive images as well: nothing protects a record that public training has seen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from configs.errors import UserError
from configs.schema import Experiment
from datamodules.reading.listing import named
from datamodules.sources import Source
from launch.components import discreet, naming

Identity = tuple[int, int]
"""Device and inode of a file. Hard links share them, and a symbolic link has those of its target."""

ADVICE = "Public training protects nobody: give another public set, without any sensitive record in it."


def check_apart(config: Experiment, public: Source, sensitive: Source) -> None:
    """Check that the public images are not the sensitive ones, by folder and file by file. Opens no image.

    Copies are not noticed; `privimage preflight --overlap` finds them. Both splits of both sets count: the release must
    not depend on sensitive test images either.

    Raises:
        UserError: if one folder contains the other, or a file is in both sets, regardless of the links to it.
    """
    if same_place(config, public, sensitive):
        where = getattr(config.public, "root", "") or config.public.name
        raise UserError(f"public: the same images as sensitive ('{where}'). {ADVICE}")
    check_files_apart(public, sensitive)


def same_place(config: Experiment, public: Source, sensitive: Source) -> bool:
    """Whether one folder of images contains the other, or both sets are the same benchmark, even in two copies."""
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
    """Check that no file is read both as a public and as a sensitive image. Compares inodes, opens no file.

    Raises:
        UserError: if a file is.
    """
    files = paths("public", public)
    first = next(files, None)
    if first is None:  # nothing to compare with: the sensitive files need not be listed
        return
    splits: dict[Identity, str] = {}
    for test, split in ((True, "test"), (False, "training")):
        with discreet(sensitive), naming("sensitive"):
            splits |= {identity: split for identity, _ in identified(sensitive.paths(test=test))}
    shared = {path: splits[identity] for identity, path in identified(chain([first], files)) if identity in splits}
    for split in ("training", "test"):
        found = [path for path, of in shared.items() if of == split]
        if found:
            raise UserError(
                f"public: {len(found)} of its files are files of sensitive {split} images, by symbolic or hard links: "
                f"{named(shown(found, public, sensitive))}. {ADVICE}"
            )


def paths(section: str, source: Source) -> Iterator[Path]:
    """The files of both splits of a source."""
    with naming(section):
        for test in (False, True):
            yield from source.paths(test=test)


def shown(found: list[Path], public: Source, sensitive: Source) -> list[str]:
    """What a message may name: public files if the sensitive set is a public benchmark, otherwise public categories.

    A link usually has the name of its target, and names of sensitive files must not get into a job's log.
    """
    if sensitive.public_benchmark:
        return [str(path) for path in found]
    return sorted({category(path, public) for path in found})


def category(path: Path, public: Source) -> str:
    """The sub-folder of a public root in which a file is, or the root; no name for a file outside the roots."""
    roots = [*public.folders, *([test] if (test := getattr(public, "test_root", None)) else [])]
    root = next((root for root in roots if path.is_relative_to(root)), None)
    if root is None:
        return "files outside the public root"
    parts = path.relative_to(root).parts
    return str(root / parts[0] if len(parts) > 1 else root)


def identified(paths: Iterable[Path]) -> Iterator[tuple[Identity, Path]]:
    """Each file with its identity. Opens no file. Broken links are skipped: nothing can be read through them."""
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:
            continue
        yield (found.st_dev, found.st_ino), path
