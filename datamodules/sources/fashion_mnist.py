"""Fashion-MNIST from its four idx files."""

from __future__ import annotations

from dataclasses import dataclass

from torchvision import datasets

from configs.fields import key
from configs.schema import Image
from datamodules.sources.idx_images import IdxImages, idx_files
from datamodules.sources.source import SOURCES


@dataclass
class Config:
    name: str = key("fashion_mnist", "articles of clothing, 28x28, 60000 for training and 10000 for testing")
    root: str = key(
        "data/fashion_mnist", "folder that holds the four idx files, plain or .gz, or FashionMNIST/raw with them in it"
    )
    download: bool = key(False, "fetch what is missing, to FashionMNIST/raw in root")


@SOURCES.register(Config)
class FashionMnist(IdxImages):
    """Fashion-MNIST articles of clothing from idx files in a given folder, 28x28, grayscale."""

    files = idx_files("Fashion-MNIST", "FashionMNIST/raw", datasets.FashionMNIST)
    class_names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip

    def __init__(self, config: Config, image: Image) -> None:
        super().__init__(config.root, config.download, image)
