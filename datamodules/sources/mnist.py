"""MNIST from its four idx files."""

from __future__ import annotations

from torchvision import datasets

from configs.components.sources import MnistConfig
from configs.schema import Image
from datamodules.sources.idx_images import IdxImages, idx_files
from datamodules.sources.source import SOURCES


@SOURCES.register(MnistConfig)
class Mnist(IdxImages):
    """MNIST handwritten digits from idx files in a given folder, 28x28, grayscale."""

    files = idx_files("MNIST", "MNIST/raw", datasets.MNIST)
    class_names = tuple("0123456789")

    def __init__(self, config: MnistConfig, image: Image) -> None:
        super().__init__(config.root, config.download, image)
