"""One API for the first rounds, another for the later ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from configs.components.apis import ChainApiConfig
from configs.errors import UserError
from evolution.api import APIS, EvolutionApi, Surroundings
from evolution.samples import Samples


@APIS.register(ChainApiConfig)
class Chain:
    """Two APIs in a row. The second one gets the images of the first one, without their parameters."""

    def __init__(self, config: ChainApiConfig, surroundings: Surroundings) -> None:
        for section in ("first", "then"):
            if isinstance(getattr(config, section), ChainApiConfig):
                raise UserError(f"{section}.name: a chain cannot contain a chain. Give another API.")
        self.first = built("first", config.first, surroundings)
        then = built("then", config.then, surroundings)
        if getattr(then, "needs_parameters", False):
            raise UserError(
                f"then.name: '{config.then.name}' varies samples by the parameters it gave them, and samples of the "
                "first API do not have these. Give an API that varies images, such as model."
            )
        self.then = Heir(then, self.first)
        self.then_from = config.then_from

    def api_of_round(self, round: int) -> EvolutionApi:
        """The API that makes the candidates of a round."""
        return self.then if round >= self.then_from else self.first

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        return self.first.random(category, count, rng)

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        return self.first.vary(samples, degree, rng)


def built(section: str, config: Any, surroundings: Surroundings) -> EvolutionApi:
    """The API of a section of the configuration.

    Raises:
        UserError: if it cannot be built; the message begins with the section's name.
    """
    try:
        return APIS.build(config, surroundings)
    except UserError as error:
        raise error.under(section) from error


class Heir:
    """An API whose samples never have parameters, because some of them come from another API."""

    def __init__(self, api: EvolutionApi, before: EvolutionApi) -> None:
        self.api = api
        self.before = before
        self.shown_as = type(api).__name__
        self.needs_model = getattr(api, "needs_model", False)

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        return self.before.random(category, count, rng)

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        return Samples.of_images(self.api.vary(Samples.of_images(samples.images), degree, rng).images)
