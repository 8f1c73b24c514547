"""Public categories chosen by their names: what is possible without any private access. Touches no sensitive data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from configs.errors import UserError
from configs.schema import Experiment
from datamodules.sets.image_set import LabelledImages


def matching_categories(public_names: Sequence[str], sensitive_names: Sequence[str]) -> dict[int, int]:
    """Public label -> sensitive label for every name that both sets have, regardless of upper and lower case.

    If several public names differ only in case, the one spelled like the sensitive name is taken, else the first one.
    Names are public by declaration, so this touches no sensitive data.
    """
    matches: dict[int, int] = {}
    for label, name in enumerate(sensitive_names):
        same = [i for i, other in enumerate(public_names) if other.casefold() == name.casefold() and i not in matches]
        if same:
            matches[min(same, key=lambda i: (public_names[i] != name, i))] = label
    return matches


def named_categories(
    pairs: Sequence[str], public_names: Sequence[str], sensitive_names: Sequence[str]
) -> dict[int, int]:
    """Public label -> sensitive label of pairs such as "tabby -> cat" (default: all categories of the same name).

    Raises:
        UserError: if a pair has another form, a category does not exist, or a public category occurs twice.
    """
    if not pairs:
        return matching_categories(public_names, sensitive_names)
    matches: dict[int, int] = {}
    for pair in pairs:
        public, arrow, sensitive = (part.strip() for part in pair.partition("->"))
        if not arrow or public not in public_names or sensitive not in sensitive_names:
            raise UserError(
                f"selection.names: got {pair!r}. Give 'public category -> sensitive category', with the names that the "
                f"sets have (sensitive: {', '.join(sensitive_names)})."
            )
        if public_names.index(public) in matches:
            raise UserError(f"selection.names: the public category {public!r} occurs twice. Give it once.")
        matches[public_names.index(public)] = sensitive_names.index(sensitive)
    return matches


def unmatched(config: Experiment) -> UserError:
    """The message for public categories of which none is named as a sensitive one."""
    return UserError(
        f"selection.names: no category of '{config.public.name}' is named as one of '{config.sensitive.name}'. Say "
        "which stands for which, such as selection.names=['tabby -> cat'], or leave this control out."
    )


def public_only_set(
    public: LabelledImages, sensitive_names: Sequence[str], pairs: Sequence[str] = ()
) -> LabelledImages | None:
    """The public images of the categories that have a sensitive category's name, relabelled; None if there are no such.

    This is what a user could have trained on without any private access. Touches no sensitive data.

    Args:
        public: the public images.
        sensitive_names: names of the sensitive categories.
        pairs: see `named_categories`.
    """
    matches = named_categories(pairs, public.class_names, sensitive_names)
    kept = np.flatnonzero(np.isin(public.labels, list(matches)))
    return public.subset(kept).relabel(matches, tuple(sensitive_names)) if len(kept) else None
