import gzip
import struct

import numpy as np
import pytest

from configs.errors import UserError
from datamodules.reading.idx import find_idx, read_idx, read_shape


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


ARRAY = np.random.default_rng(0).integers(0, 256, (5, 3, 4), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a-idx3-ubyte", "a-idx3-ubyte.gz", "a.idx3-ubyte", "a.idx3-ubyte.gz"])
def test_plain_and_gzipped_files_of_either_name_are_read(tmp_path, name):
    content = idx_bytes(ARRAY)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    path = find_idx(tmp_path, "a", 3)
    assert read_shape(path) == (5, 3, 4) and np.array_equal(read_idx(path), ARRAY)


def test_the_shape_needs_the_header_alone(tmp_path):
    (tmp_path / "a").write_bytes(idx_bytes(ARRAY)[:16])
    assert read_shape(tmp_path / "a") == (5, 3, 4)


@pytest.mark.parametrize("keep", [0, 3, 10, 16, 40])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_truncated_file_is_refused_by_name(tmp_path, keep, zipped):
    path = tmp_path / ("cut.gz" if zipped else "cut")
    content = idx_bytes(ARRAY)
    path.write_bytes(gzip.compress(content)[:keep] if zipped else content[:keep])
    with pytest.raises(UserError, match="cut"):
        read_idx(path)


@pytest.mark.parametrize("content", [b"\x89PNG" + bytes(60), idx_bytes(ARRAY) + b"x", b"not gzip"])
@pytest.mark.parametrize("name", ["bad", "bad.gz"])
def test_what_is_no_idx_file_is_refused_by_name(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match="bad"):
        read_idx(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"root: no file 'a-idx3-ubyte'"):
        find_idx(tmp_path, "a", 3)
