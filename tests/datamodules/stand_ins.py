"""Small files in the formats of the benchmarks, with random content."""

from __future__ import annotations

import gzip
import pickle
import shlex
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from tests.datamodules.reading.test_idx import idx_bytes

ATTRIBUTES = shlex.split("""
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair
Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male
Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks
Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace
Wearing_Necktie Young
""")


def write_idx_files(root: Path, train: int, test: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Write the four files in MNIST's format; returns their arrays by name."""
    random = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for split, count in (("train", train), ("t10k", test)):
        arrays[f"{split}-images-idx3-ubyte"] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{split}-labels-idx1-ubyte"] = random.permutation(np.arange(count, dtype=np.uint8) % 10)
    for name, array in arrays.items():
        (root / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return arrays


def write_cifar10(root: Path, records: int, seed: int = 0) -> dict[str, dict[str, object]]:
    """Write the six batches of CIFAR-10 with the given number of records each; returns their content by name."""
    random = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    batches: dict[str, dict[str, object]] = {}
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        labels = random.permutation(np.arange(records) % 10).tolist()
        data = random.integers(0, 256, (records, 3072), dtype=np.uint8)
        batches[name] = {"batch_label": name, "labels": labels, "data": data, "filenames": [f"{i}.png" for i in labels]}
        (root / name).write_bytes(pickle.dumps(batches[name], protocol=2))
    return batches


def write_celeba(root: Path, train: int, test: int, seed: int = 0) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Write faces in CelebA's shape and its two lists; returns split and attributes of each file by its name."""
    random = np.random.default_rng(seed)
    (root / "img_align_celeba").mkdir(parents=True)
    splits, attributes = {}, {}
    for number, split in enumerate(random.permutation([*"0" * train, *"1" * 3, *"2" * test]), start=1):
        name = f"{number:06d}.jpg"
        splits[name], attributes[name] = str(split), random.integers(0, 2, len(ATTRIBUTES)).astype(bool)
        blocks = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        face = Pillow.fromarray(blocks).resize((178, 218), Pillow.Resampling.BICUBIC)
        face.save(root / "img_align_celeba" / name, quality=95)
    (root / "list_eval_partition.txt").write_text("".join(f"{name} {split}\n" for name, split in splits.items()))
    lines = [str(len(attributes)), " ".join(ATTRIBUTES) + " "]
    lines += [f"{name} {' '.join(' 1' if has else '-1' for has in row)}" for name, row in attributes.items()]
    (root / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return splits, attributes
