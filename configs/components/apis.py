"""What creates and varies the candidates of Private Evolution: names and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from configs.components.sources import GlyphKeys
from configs.fields import component, key
from configs.registry import Catalogue

API_NAMES = Catalogue("evolution_api")


@API_NAMES.add
@dataclass
class GlyphsApiConfig(GlyphKeys):
    """Rendered characters: those that the query found most similar, or the one with the category's name, or any."""

    bend: float = key(
        0.05, "elastic deformation: std of the moves of 4x4 points, relative to the frame", above=0, at_most=0.5
    )
    another_font: float = key(
        0.5, "chance of another font in a variation of degree 1; in others, times the degree", at_least=0, at_most=1
    )


@API_NAMES.add
@dataclass
class FacesApiConfig:
    """Faces of a few ellipses and lines. All categories have the same ranges; votes tell them apart."""

    name: str = key("faces", "drawn faces, for sets of faces in colour or gray")


@API_NAMES.add
@dataclass
class ModelApiConfig:
    """The pre-trained diffusion model; it uses the category's label if it has learnt the sensitive categories."""

    name: str = key("model", "the pre-trained diffusion model: a variation adds noise to an image and removes it again")
    noise_smallest: float = key(0.3, "noise level sigma of a variation of degree 0, in pixels of [-1, 1]", above=0)
    noise_largest: float = key(3.0, "noise level sigma of a variation of degree 1", above=0)
    batch_size: int = key(500, "images made at once", at_least=1)


@API_NAMES.add
@dataclass
class PoolApiConfig:
    """The public images of the categories that the query found similar or that have the category's name, or all."""

    name: str = key("pool", "the public images as they are: candidates vary to similar images")
    widest: int = key(1000, "number of most similar images from which a variation of degree 1 is drawn", at_least=1)
    narrowest: int = key(5, "number of most similar images from which a variation of degree 0 is drawn", at_least=1)


@API_NAMES.add
@dataclass
class ChainApiConfig:
    """Two APIs in a row. The second one gets the images of the first one, without their parameters."""

    name: str = key("chain", "one API for the first rounds, another for the later ones")
    first: Any = component("evolution_api", "glyphs", "the API that begins, such as a simulator")
    then: Any = component("evolution_api", "model", "the API that takes over, such as a diffusion model")
    then_from: int = key(2, "the first round (0, 1, …) whose candidates the second API makes", at_least=1)


@API_NAMES.add
@dataclass
class ImportedApiConfig:
    """A class of your own: `Class(image=…, class_names=…, **settings)` with methods `random` and `vary`."""

    name: str = key("imported", "a class in a Python file of your own (docs/evolution.md)")
    path: str = key("", "the file and the class, such as shapes.py:Shapes")
    settings: dict[str, Any] = key({}, "arguments of the class, by name, in addition to image and class_names")
