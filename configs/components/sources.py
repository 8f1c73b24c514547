"""Sources of images: their names and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from configs.fields import key
from configs.registry import Catalogue

SOURCE_NAMES = Catalogue("source")


@dataclass
class GlyphKeys:
    """Random glyphs, for what draws them: the public source and the simulator."""

    name: str = key("glyphs", "characters rendered from the fonts inside matplotlib")
    fill_smallest: float = key(0.75, "least longer side of a glyph, over the frame", above=0.1, at_most=1.5)
    fill_largest: float = key(1.05, "greatest longer side of a glyph, over the frame", above=0.1, at_most=1.5)
    rotation: float = key(30.0, "greatest rotation either way, degrees", at_least=0, at_most=180)
    shear: float = key(0.5, "greatest lean either way, width over height", at_least=0, at_most=2)
    stretch: float = key(1.5, "greatest widening or narrowing, a factor", at_least=1, at_most=4)
    stroke: int = key(2, "greatest thickening of each side of a stem, 1/64 em", at_least=0, at_most=8)
    blur: float = key(0.5, "greatest std of the Gaussian blur, pixels", at_least=0, at_most=4)
    shift: float = key(0.1, "greatest shift either way, over the frame", at_least=0, at_most=0.5)
    bend: float = key(
        0.0, "elastic deformation: std of the moves of 4x4 points, over the frame", at_least=0, at_most=0.2
    )


@SOURCE_NAMES.add
@dataclass
class DigitsConfig:
    """UCI handwritten digits (inside scikit-learn): 1437 training and 360 test images, 8x8, grayscale."""

    name: str = key("digits", "handwritten digits, 8x8, 1437 for training and 360 for testing")


@SOURCE_NAMES.add
@dataclass
class GlyphsConfig(GlyphKeys):
    """Digits, Latin, Greek and symbols rendered from matplotlib's fonts: a category for each, at any resolution."""

    images_per_category: int = key(400, "training images of each character", at_least=1)
    test_images_per_category: int = key(50, "test images of each character", at_least=1)
    seed: int = key(0, "seed of the random glyphs", at_least=0)


@SOURCE_NAMES.add
@dataclass
class FolderConfig:
    """Your own images: one sub-folder per category, gray or colour, of any size."""

    name: str = key("folder", "any folder with one sub-folder of images per category")
    root: str = key("", "folder with one sub-folder per category")
    test_root: str = key("", "the same for the test images; a share of root's unless given")
    test_fraction: float = key(0.1, "share of root's images for testing, picked by file name", above=0, below=1)
    corrupt: str = key("refuse", "what to do about unreadable image files", choices=("refuse", "skip"))
    count: Optional[int] = key(None, "declared number of training images; that of files unless given", at_least=1)
    public_benchmark: bool = key(False, "declare that these images are public: scores on them may be shown anywhere")


@SOURCE_NAMES.add
@dataclass
class ImageNetConfig:
    """ImageNet from an FFCV store (`privimage prepare imagenet`) or its folder; stays on disk, read by index."""

    name: str = key("imagenet", "ImageNet or any large folder of classes, read from disk by index")
    store: str = key("", "a .beton file that `privimage prepare imagenet` made")
    root: str = key("", "the folder itself in place of a store: every file is decoded anew each time")
    test_fraction: float = key(0.01, "share of the images kept for testing, picked by file name", above=0, below=1)
    public_benchmark: bool = key(False, "declare that these images are public: scores on them may be shown anywhere")


@SOURCE_NAMES.add
@dataclass
class MnistConfig:
    """MNIST handwritten digits from idx files in a given folder, 28x28, grayscale."""

    name: str = key("mnist", "handwritten digits, 28x28, 60000 for training and 10000 for testing")
    root: str = key("data/mnist", "folder that holds the four idx files, plain or .gz, or MNIST/raw with them in it")
    download: bool = key(False, "fetch what is missing, to MNIST/raw in root")


@SOURCE_NAMES.add
@dataclass
class FashionMnistConfig:
    """Fashion-MNIST articles of clothing from idx files in a given folder, 28x28, grayscale."""

    name: str = key("fashion_mnist", "articles of clothing, 28x28, 60000 for training and 10000 for testing")
    root: str = key(
        "data/fashion_mnist", "folder that holds the four idx files, plain or .gz, or FashionMNIST/raw with them in it"
    )
    download: bool = key(False, "fetch what is missing, to FashionMNIST/raw in root")


@SOURCE_NAMES.add
@dataclass
class Cifar10Config:
    """CIFAR-10 photographs from the batches of its Python version in a given folder, 32x32, colour."""

    name: str = key("cifar10", "photographs of ten kinds of things, 32x32, 50000 for training and 10000 for testing")
    root: str = key("data/cifar10", "folder that holds the six batches, or cifar-10-batches-py with them in it")
    download: bool = key(False, "fetch what is missing, to cifar-10-batches-py in root")


@SOURCE_NAMES.add
@dataclass
class CelebaConfig:
    """CelebA faces in the training and test splits of its authors, with an attribute as category, colour."""

    name: str = key("celeba", "faces of celebrities, 162770 for training and 19962 for testing")
    root: str = key("data/celeba", "folder that holds img_align_celeba and its two lists, or celeba with them in it")
    download: bool = key(False, "fetch what is missing, to celeba in root (1.4 GB; needs the package gdown)")
    attribute: Optional[str] = key(
        "Male", "attribute that tells the two categories apart; null: one category, unconditional"
    )
