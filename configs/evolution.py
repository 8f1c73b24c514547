"""How Private Evolution votes, chooses and varies candidates: configuration keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Optional, Union

from configs.fields import component, key
from configs.noise_limits import LARGEST_NOISE, SMALLEST_NOISE


@dataclass
class Evolution:
    api: Any = component("evolution_api", "glyphs", "what creates candidates and varies them")
    rounds: int = key(4, "noisy histograms of votes, all charged as one mechanism", at_least=1)
    population: int = key(1000, "candidates per sensitive category", at_least=2)
    noise_multiplier: Union[float, Literal["auto"]] = key(
        "auto",
        "noise std of a round's histogram divided by its L2 sensitivity 1; auto: what the budget leaves, or "
        "budget_share of it if DP-SGD follows",
        at_least=SMALLEST_NOISE,
        at_most=LARGEST_NOISE,
    )
    budget_share: float = key(
        0.4,
        "with noise_multiplier=auto, if DP-SGD follows: mu^2 of all rounds divided by that of one Gaussian that costs "
        "privacy.epsilon",
        above=0,
        below=1,
    )
    features: list[str] = key(
        ["semantic"],
        "features that images are compared by, with equal weights: semantic (the classifier's), pixels (blurred), "
        "inception (needs evaluate.inception_weights)",
    )
    look_ahead: int = key(
        0, "variations of a candidate whose mean features represent it in the vote (0: its own features)", at_least=0
    )
    neighbours: int = key(1, "k: candidates that an image votes for, with 1 / sqrt(k) each", at_least=1)
    vote_for: str = key(
        "own",
        "own: an image votes for candidates of its category; any: for those of every category. With any, votes are "
        "counted separately per category, so that they tell which category a candidate looks like",
        choices=("own", "any"),
    )
    sure: float = key(
        1.0,
        "if votes label images: the margin by which the first category should lead the second, in noise stds of an "
        "average of votes; images with a smaller margin are released last",
        at_least=0,
    )
    oversample: int = key(3, "if votes label images: images created for each one released", at_least=1)
    smooth: int = key(1, "most similar candidates over which noisy votes are averaged; 1: no averaging", at_least=1)
    threshold: float = key(0.0, "votes that a candidate needs, in noise stds of its average", at_least=0)
    resample: str = key("sample", "how parents are selected by their votes", choices=("sample", "rank"))
    degree_first: float = key(1.0, "variation degree after the first round", above=0, at_most=1)
    degree_last: float = key(0.2, "variation degree after the last round", above=0, at_most=1)
    degree_rendered: Optional[float] = key(
        None, "variation degree of the released images (default: degree_last)", above=0, at_most=1
    )
    share_at_random: float = key(
        0.0,
        "share of the released images (and with vote_for=any, of the first candidates) that the API draws from any "
        "category, for a teacher or votes to label",
        at_least=0,
        below=1,
    )
    reuse: Optional[str] = key(
        None, "folder of a finished run, or release id, whose last population to reuse; its charge is reused with it"
    )
    rendered: int = key(
        1000, "images per category created from the last population for pre-training, at no privacy cost", at_least=1
    )
