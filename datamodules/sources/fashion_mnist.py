"""Fashion-MNIST from its four idx files."""

from __future__ import annotations

from torchvision import datasets

from configs.components.sources import FashionMnistConfig
from configs.schema import Image
from datamodules.sources.idx_images import IdxImages, idx_files
from datamodules.sources.source import SOURCES


@SOURCES.register(FashionMnistConfig)
class FashionMnist(IdxImages):
    """Fashion-MNIST articles of clothing from idx files in a given folder, 28x28, grayscale."""

    files = idx_files("Fashion-MNIST", "FashionMNIST/raw", datasets.FashionMNIST)
    class_names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip

    def __init__(self, config: FashionMnistConfig, image: Image) -> None:
        super().__init__(config.root, config.download, image)
