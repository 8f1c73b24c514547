"""Controls: training sets that show what public images give without fine-tuning on the sensitive ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from configs.errors import UserError
from configs.schema import Experiment
from datamodules.sets.image_set import LabelledImages

CONTROLS = {
    "before": "before fine-tuning: samples of the pre-trained model",
    "selected": "selected public images, relabelled",
    "by_name": "no private access: public categories of the same name",
}
"""What a control is called beside the synthetic images, by its name in `evaluate.controls`."""
EVOLVED = "renderings of the evolved candidates, before DP-SGD"
"""What `selected` is called where pre-training had those: they are not public images, and cost the votes."""


def matching_categories(public_names: Sequence[str], sensitive_names: Sequence[str]) -> dict[int, int]:
    """Public label -> sensitive label for every name that both sets have; upper and lower case are the same.

    Where several public names differ only in case, the one spelled as the sensitive name is taken, else the first.
    Names are public by declaration, so this touches no sensitive data.
    """
    matches: dict[int, int] = {}
    for label, name in enumerate(sensitive_names):
        alike = [i for i, other in enumerate(public_names) if other.casefold() == name.casefold() and i not in matches]
        if alike:
            matches[min(alike, key=lambda i: (public_names[i] != name, i))] = label
    return matches


def named_categories(
    pairs: Sequence[str], public_names: Sequence[str], sensitive_names: Sequence[str]
) -> dict[int, int]:
    """Public label -> sensitive label of pairs such as "tabby -> cat"; all categories of the same name without any.

    Raises UserError for a pair in another form, a name that is none, or a public category named twice.
    """
    if not pairs:
        return matching_categories(public_names, sensitive_names)
    matches: dict[int, int] = {}
    for pair in pairs:
        public, arrow, sensitive = (part.strip() for part in pair.partition("->"))
        if not arrow or public not in public_names or sensitive not in sensitive_names:
            raise UserError(
                f"selection.names: got {pair!r}; allowed is 'public category -> sensitive category', with the names as "
                f"the sets have them (sensitive: {', '.join(sensitive_names)})."
            )
        if public_names.index(public) in matches:
            raise UserError(f"selection.names: the public category {public!r} is named twice.")
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
    """The public images of the categories that bear a sensitive category's name, relabelled; None where there are none.

    What a user could have trained on with no private access at all. pairs: see `named_categories`.
    """
    matches = named_categories(pairs, public.class_names, sensitive_names)
    kept = np.flatnonzero(np.isin(public.labels, list(matches)))
    return public.subset(kept).relabel(matches, tuple(sensitive_names)) if len(kept) else None


def balanced_sample(images: LabelledImages, count: int, seed: int) -> LabelledImages:
    """At most `count` images drawn at random without replacement, as evenly over the categories as they allow.

    Cuts a control (the selected images for "query only") down to the size of the synthetic set.
    """
    if len(images) <= count:
        return images
    order = np.random.default_rng(seed).permutation(len(images))
    labels = images.labels[order]
    turn = np.empty(len(images), dtype=np.int64)  # how many of its category come before each image
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        turn[here] = np.arange(len(here))
    return images.subset(np.sort(order[np.argsort(turn, kind="stable")[:count]]))
