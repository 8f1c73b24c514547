import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from configs.components.sources import MnistConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.sources import SOURCES
from tests.datamodules.reading.test_idx import idx_bytes

REAL = Path(os.environ.get("PRIVIMAGE_MNIST", Path(__file__).parents[4] / "shared" / "data" / "mnist"))


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("t10k", 7)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        labels = (np.arange(count) % 10).astype(np.uint8)
        (tmp_path / f"{split}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))
    return tmp_path


def build(root: Path, resolution: int = 28, channels: int = 1):
    return SOURCES.build(MnistConfig(root=str(root)), Image(resolution, channels))


@pytest.mark.parametrize(("resolution", "channels"), [(28, 1), (32, 3)])
def test_both_splits_are_read_in_the_shape_of_the_run(root, resolution, channels):
    source = build(root, resolution, channels)
    train, test = source.train(), source.test()
    assert source.size() == len(train) == 12 and len(test) == 7
    assert train.images.shape[1:] == (channels, resolution, resolution)
    assert train.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert train.class_names == tuple("0123456789") and source.public_benchmark


def test_a_missing_folder_and_a_missing_file_are_named(root):
    with pytest.raises(UserError, match="root: no folder at 'nowhere'"):
        build(Path("nowhere"))
    (root / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(UserError, match="no file 't10k-images-idx3-ubyte'"):
        build(root)


def test_files_that_do_not_belong_together_are_refused(root):
    (root / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.zeros(11, np.uint8))))
    with pytest.raises(UserError, match="do not belong together"):
        build(root).train()


def test_labels_of_another_data_set_are_refused(root):
    (root / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.full(12, 26, np.uint8))))
    with pytest.raises(UserError, match="labels above 9"):
        build(root).train()


@pytest.mark.skipif(not REAL.is_dir(), reason="no MNIST files (set PRIVIMAGE_MNIST to their folder)")
def test_the_real_mnist():
    source = build(REAL)
    assert source.size() == 60000
    test = source.test()
    assert test.images.shape == (10000, 1, 28, 28)
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert round(float(test.images.mean()), 2) == 33.79
