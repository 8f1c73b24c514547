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
    fill_smallest: float = key(
        0.75, "smallest longer side of a glyph, as a fraction of the frame", above=0.1, at_most=1.5
    )
    fill_largest: float = key(
        1.05, "largest longer side of a glyph, as a fraction of the frame", above=0.1, at_most=1.5
    )
    rotation: float = key(30.0, "largest rotation in either direction, degrees", at_least=0, at_most=180)
    shear: float = key(0.5, "largest slant in either direction, width over height", at_least=0, at_most=2)
    stretch: float = key(1.5, "largest factor by which a glyph is widened or narrowed", at_least=1, at_most=4)
    stroke: int = key(2, "largest thickening of each side of a stem, 1/64 em", at_least=0, at_most=8)
    blur: float = key(0.5, "largest std of the Gaussian blur, pixels", at_least=0, at_most=4)
    shift: float = key(0.1, "largest shift in either direction, as a fraction of the frame", at_least=0, at_most=0.5)
    bend: float = key(
        0.0,
        "elastic deformation: std of the shifts of 4x4 points, as a fraction of the frame",
        at_least=0,
        at_most=0.2,
    )


@SOURCE_NAMES.add
@dataclass
class DigitsConfig:
    """UCI handwritten digits (inside scikit-learn): 1437 training and 360 test images, 8x8, grayscale."""

    name: str = key("digits", "handwritten digits, 8x8, 1437 for training and 360 for testing")


@SOURCE_NAMES.add
@dataclass
class GlyphsConfig(GlyphKeys):
    """Digits, Latin and Greek letters and symbols from matplotlib's fonts: one category each, at any resolution."""

    images_per_category: int = key(400, "training images of each character", at_least=1)
    test_images_per_category: int = key(50, "test images of each character", at_least=1)
    seed: int = key(0, "seed of the random glyphs", at_least=0)


@SOURCE_NAMES.add
@dataclass
class FolderConfig:
    """Your own images: one sub-folder per category, gray or colour, of any size."""

    name: str = key("folder", "any folder with one sub-folder of images per category")
    root: str = key("", "folder with one sub-folder per category")
    test_root: str = key("", "the same for the test images; default: a share of the images of root")
    test_fraction: float = key(0.1, "share of the images of root for testing, chosen by file name", above=0, below=1)
    corrupt: str = key("refuse", "what to do with unreadable image files", choices=("refuse", "skip"))
    bits: Optional[int] = key(
        None,
        "bits in use of gray images that have more than 8, such as 12; default: what each file says",
        at_least=8,
        at_most=32,
    )
    count: Optional[int] = key(None, "number of training images to declare; default: number of files", at_least=1)
    public_benchmark: bool = key(False, "declare that these images are public: scores on them may be shown anywhere")


@SOURCE_NAMES.add
@dataclass
class TableConfig:
    """Your own images in one folder, their categories in a table (CSV or JSON lines)."""

    name: str = key("table", "a folder of images whose categories are in a table")
    root: str = key("", "folder that the table's file names start from")
    labels_file: str = key("", "the table: .csv with a header, or .jsonl")
    test_root: str = key("", "the same for the test images; default: root")
    test_labels_file: str = key("", "table of the test images; default: a share of the rows of labels_file")
    test_fraction: float = key(
        0.1, "share of the rows of labels_file for testing, chosen by file name", above=0, below=1
    )
    file_column: str = key("file_name", "column with the names of the files")
    label_column: str = key("label", "column with the category")
    classes: list[str] = key([], "every category that a row may have, public by declaration")
    corrupt: str = key("refuse", "what to do with unreadable image files", choices=("refuse", "skip"))
    bits: Optional[int] = key(
        None,
        "bits in use of gray images that have more than 8, such as 12; default: what each file says",
        at_least=8,
        at_most=32,
    )
    count: Optional[int] = key(None, "number of training images to declare; default: number of rows", at_least=1)
    public_benchmark: bool = key(False, "declare that these images are public: scores on them may be shown anywhere")


@SOURCE_NAMES.add
@dataclass
class NpzConfig:
    """Images in one .npz file with a training and a test split, as MedMNIST has them."""

    name: str = key("npz", "an .npz file with train_images, train_labels, test_images and test_labels")
    file: str = key("", "the file")
    classes: list[str] = key([], "name of each label, from 0 on, public by declaration")
    count: Optional[int] = key(None, "number of training images to declare; default: number of images", at_least=1)
    public_benchmark: bool = key(False, "declare that these images are public: scores on them may be shown anywhere")


@SOURCE_NAMES.add
@dataclass
class ImageNetConfig:
    """ImageNet from an FFCV store (`privimage prepare imagenet`) or from its folder; stays on disk, read by index."""

    name: str = key("imagenet", "ImageNet or any large folder of classes, read from disk by index")
    store: str = key("", "a .beton file that `privimage prepare imagenet` made")
    root: str = key("", "the folder itself instead of a store: every file is decoded again each time")
    test_fraction: float = key(0.01, "share of the images for testing, chosen by file name", above=0, below=1)
    public_benchmark: bool = key(False, "declare that these images are public: scores on them may be shown anywhere")


@SOURCE_NAMES.add
@dataclass
class MnistConfig:
    """MNIST handwritten digits from idx files in a given folder, 28x28, grayscale."""

    name: str = key("mnist", "handwritten digits, 28x28, 60000 for training and 10000 for testing")
    root: str = key(
        "data/mnist", "folder that contains the four idx files, plain or .gz, or a folder MNIST/raw with them"
    )
    download: bool = key(False, "download what is missing, to root/MNIST/raw")


@SOURCE_NAMES.add
@dataclass
class FashionMnistConfig:
    """Fashion-MNIST articles of clothing from idx files in a given folder, 28x28, grayscale."""

    name: str = key("fashion_mnist", "articles of clothing, 28x28, 60000 for training and 10000 for testing")
    root: str = key(
        "data/fashion_mnist",
        "folder that contains the four idx files, plain or .gz, or a folder FashionMNIST/raw with them",
    )
    download: bool = key(False, "download what is missing, to root/FashionMNIST/raw")


@SOURCE_NAMES.add
@dataclass
class Cifar10Config:
    """CIFAR-10 photographs from the batches of its Python version in a given folder, 32x32, colour."""

    name: str = key("cifar10", "photographs of ten kinds of objects, 32x32, 50000 for training and 10000 for testing")
    root: str = key("data/cifar10", "folder that contains the six batches, or a folder cifar-10-batches-py with them")
    download: bool = key(False, "download what is missing, to root/cifar-10-batches-py")


@SOURCE_NAMES.add
@dataclass
class CelebaConfig:
    """CelebA faces in colour, in the training and test splits of its authors, with an attribute as category."""

    name: str = key("celeba", "faces of celebrities, 162770 for training and 19962 for testing")
    root: str = key(
        "data/celeba", "folder that contains img_align_celeba and the two lists, or a folder celeba with them"
    )
    download: bool = key(False, "download what is missing, to root/celeba (1.4 GB; needs the package gdown)")
    attribute: Optional[str] = key(
        "Male", "attribute that separates the two categories; null: one category, unconditional"
    )
