"""MNIST from its four idx files."""

from __future__ import annotations

from dataclasses import dataclass

from torchvision import datasets

from configs.fields import key
from configs.schema import Image
from datamodules.sources.idx_images import IdxImages, idx_files
from datamodules.sources.source import SOURCES


@dataclass
class Config:
    name: str = key("mnist", "handwritten digits, 28x28, 60000 for training and 10000 for testing")
    root: str = key("data/mnist", "folder that holds the four idx files, plain or .gz, or MNIST/raw with them in it")
    download: bool = key(False, "fetch what is missing, to MNIST/raw in root")


@SOURCES.register(Config)
class Mnist(IdxImages):
    """MNIST handwritten digits from idx files in a given folder, 28x28, grayscale."""

    files = idx_files("MNIST", "MNIST/raw", datasets.MNIST)
    class_names = tuple("0123456789")

    def __init__(self, config: Config, image: Image) -> None:
        super().__init__(config.root, config.download, image)
