"""The data card of a set of released images: README.md with the block of metadata that Hugging Face reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from accounting.statements import delta_text, epsilon_text, guarantee_text
from datamodules.sets.image_set import ImageSet

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LARGEST = "1M<n<10M"


@dataclass(frozen=True)
class Layout:
    """How a set of images is stored, and how it is loaded."""

    loading: str
    """Markdown: the lines that load it."""
    data_files: str | None = None
    """Pattern of the files that `datasets` reads; None if it cannot read the images as they are."""
    named: bool = True
    """Whether labels are numbers that the card gives names to; otherwise folders give them."""


NPZ = Layout(
    """\
The images are in `synthetic.npz`: `images` uint8 [N, H, W, C], `labels` int64 [N], `class_names`.

```python
import numpy as np
data = np.load("synthetic.npz")
```

With PrivImage, `release` being this folder:

```python
import privimage
release = privimage.load_release("release")   # release.images, release.labels, release.class_names
```

As files for torchvision (`ImageFolder`) and Hugging Face (`load_dataset`), or as Parquet:

```
privimage export release images
privimage export release parquet --format parquet
```

Then one line loads them:

```python
datasets.load_dataset("images", split="train")     # the same with "parquet"
torchvision.datasets.ImageFolder("images")
```
"""
)


def card(images: ImageSet, statement: dict[str, Any], layout: Layout, *, model: bool = False) -> str:
    """A data card.

    Args:
        images: the synthetic images.
        statement: the privacy statement of their release.
        layout: how they are stored here.
        model: whether the folder contains the model too.

    Returns:
        Markdown after a block of YAML. No licence is stated: that is for the publisher to decide.
    """
    block = yaml.safe_dump(metadata(images, statement, layout), sort_keys=False, allow_unicode=True, width=1000)
    height, width = images.images.shape[2:]
    colours = "gray" if images.images.shape[1] == 1 else "colour (RGB)"
    names = ", ".join(f"`{plain(name)}`" for name in images.class_names)
    lines = [
        f"---\n{block}---",
        "# Synthetic images",
        *([f"**{statement['notice']}**"] if statement.get("notice") else []),
        f"{len(images)} synthetic images, {height} x {width} pixels, {colours}, in {len(images.class_names)} "
        f"categories: {names}. Method: `{plain(str(statement.get('method', 'not stated')))}` of PrivImage.",
        "## Guarantee",
        *guarantee(statement),
        "## How to load",
        layout.loading.strip(),
    ]
    if model:
        lines += [
            "## The model",
            "`model.safetensors` has the weights of the generator, `model.json` its description. More images are "
            "post-processing: they cost no privacy. `release` is this folder:",
            "```\nprivimage synthesize release --count 20000\n```",
            "```python\nimages, labels = privimage.load_release('release').sample(100, seed=1)\n```",
        ]
    lines += [
        "## What these images are for",
        "They were made for training image classifiers if the sensitive images cannot be shared. Labels can be "
        "wrong, and rare kinds of images are missing. Test what you train on real images.",
    ]
    return "\n\n".join(lines) + "\n"


def metadata(images: ImageSet, statement: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """The block of metadata: plain values."""
    order = images.class_names if layout.named else sorted(images.class_names)
    names = {str(label): name for label, name in enumerate(order)}
    private = "notice" not in statement
    described: dict[str, Any] = {
        "pretty_name": f"Synthetic images, {guarantee_of(statement)}" if private else "Synthetic images, NOT PRIVATE",
        "task_categories": ["image-classification"],
        "size_categories": [next((name for limit, name in SIZES if len(images) < limit), LARGEST)],
        "tags": ["synthetic", "image", *(["differential-privacy"] if private else [])],
        "dataset_info": {
            "features": [
                {"name": "image", "dtype": "image"},
                {"name": "label", "dtype": {"class_label": {"names": names}}},
            ]
        },
    }
    if layout.data_files is None:
        return described | {"viewer": False}
    return described | {
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": layout.data_files}]}]
    }


def guarantee(statement: dict[str, Any]) -> list[str]:
    """The guarantee in words, as paragraphs of Markdown."""
    if "epsilon" not in statement:
        return ["There is no guarantee: publish nothing of this folder."]
    first = f"{guarantee_of(statement)} differential privacy"
    if statement.get("notice"):
        return [f"None. With a secret key it would be {first}."]
    return [
        f"**{first}**, with respect to the {statement['records']} sensitive images. The unit is one image with its "
        f"label: whether any one image was among them changes the probability of anything here by a factor of at most "
        f"e^{epsilon_text(statement['epsilon'])}, except with probability about {delta_text(statement['delta'])}.",
        "Several images of one person are protected less. [PRIVACY.md](PRIVACY.md) says how much, and what the "
        "guarantee rests on. `privimage verify` of the release folder composes ε again from its "
        "`privacy.json` and checks its files.",
    ]


def guarantee_of(statement: dict[str, Any]) -> str:
    """ε and δ of a statement."""
    return guarantee_text(statement["epsilon"], statement["delta"])


def plain(text: str) -> str:
    """A text on one line that does not end a code span."""
    return " ".join(text.split()).replace("`", "'")
