"""How Private Evolution votes, chooses and varies candidates: configuration keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Optional, Union

from configs.fields import component, key
from configs.noise import LARGEST_NOISE, SMALLEST_NOISE


@dataclass
class Evolution:
    api: Any = component("evolution_api", "glyphs", "what makes candidates and varies them")
    rounds: int = key(4, "noisy histograms of votes, all of them charged as one mechanism", at_least=1)
    population: int = key(1000, "candidates of each sensitive category", at_least=2)
    noise_multiplier: Union[float, Literal["auto"]] = key(
        "auto",
        "noise std of a round's histogram over its L2 sensitivity 1; auto: what the budget leaves, or budget_share of "
        "it where DP-SGD follows",
        at_least=SMALLEST_NOISE,
        at_most=LARGEST_NOISE,
    )
    budget_share: float = key(
        0.4,
        "for noise_multiplier=auto where DP-SGD follows: mu^2 of all rounds over that of one Gaussian that costs "
        "privacy.epsilon",
        above=0,
        below=1,
    )
    features: list[str] = key(
        ["semantic"],
        "what makes two images alike, each counting alike: semantic (the classifier's features), pixels (blurred), "
        "inception (needs evaluate.inception_weights)",
    )
    look_ahead: int = key(
        0, "variations of a candidate whose mean features stand for it in the vote (0: its own)", at_least=0
    )
    neighbours: int = key(1, "k: candidates an image votes for, with 1 / sqrt(k) each", at_least=1)
    vote_for: str = key(
        "own",
        "own: an image votes for candidates of its category; any: for those of every category, where each category's "
        "votes are counted apart, so that votes tell which category a candidate looks like",
        choices=("own", "any"),
    )
    sure: float = key(
        1.0,
        "where votes label images: by how much the first category should lead the second, over the noise std of an "
        "average of votes; images that are less sure are released last",
        at_least=0,
    )
    oversample: int = key(3, "where votes label images: images made for each one released", at_least=1)
    smooth: int = key(1, "candidates most alike over which noisy votes are averaged; 1: none", at_least=1)
    threshold: float = key(0.0, "votes that a candidate must have, over the noise std of its average", at_least=0)
    resample: str = key("sample", "how parents are chosen by their votes", choices=("sample", "rank"))
    degree_first: float = key(1.0, "how far candidates are varied after the first round", above=0, at_most=1)
    degree_last: float = key(0.2, "how far after the last one", above=0, at_most=1)
    degree_rendered: Optional[float] = key(
        None, "how far in what is made in the end; degree_last unless given", above=0, at_most=1
    )
    share_at_random: float = key(
        0.0,
        "share of the released images, and with vote_for=any of the first candidates, that the API draws of any "
        "category there is, for a teacher or votes to label",
        at_least=0,
        below=1,
    )
    reuse: Optional[str] = key(
        None, "folder of a finished run, or release id, whose last population is taken over with its charge"
    )
    rendered: int = key(
        1000, "images a category that are made of the last population for pre-training, free of charge", at_least=1
    )
