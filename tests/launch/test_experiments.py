"""Every experiment preset: planned and checked at its real size, run at a small size, on files in the right format."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.loading import load
from configs.presets import preset_names
from configs.schema import Experiment, Image
from datamodules.sources import cifar10
from launch.components import public_source, sensitive_source
from launch.preflight.estimates import MEASURES
from lightning_modules import by_image
from tests.datamodules.class_images import store_of, write_classes
from tests.datamodules.stand_ins import ATTRIBUTES, write_celeba, write_cifar10, write_idx_files
from tests.launch.runs import RELEASE, privimage
from tests.launch.setups import check_experiment, plan

pytestmark = pytest.mark.slow

PRESETS = preset_names("experiments")
CATEGORIES = [f"thing{number}" for number in range(56)]
SMALL = shlex.split("""
launch.threads=1 launch.accelerator=cpu launch.workers=0 launch.reader=plain
classifier.steps=2 classifier.batch_size=8 classifier.network.width=4 classifier.network.blocks=[1,1]
classifier.validate_every=2 generator.network.base_channels=4 generator.network.blocks_per_level=1
generator.multiplicity=2 generator.sampler.steps=2
pretrain.steps=2 pretrain.batch_size=4
finetune.steps=2 finetune.batch_size=8 finetune.micro_batch=4 finetune.snapshots=1
synthesize.count=20 synthesize.batch_size=20 evaluate.classifiers=[lr] evaluate.snapshot_count=20 tracking=[]
""")


def embedded(root: Path) -> None:
    """No files: the images are inside a library."""


STAND_INS: dict[str, Callable[[Path], Any]] = {
    "digits": embedded,
    "mnist": lambda root: write_idx_files(root, train=60, test=20),
    "fashion_mnist": lambda root: write_idx_files(root, train=60, test=20),
    "cifar10": lambda root: write_cifar10(root, records=20),
    "celeba": lambda root: write_celeba(root, train=60, test=12),
}
"""What writes the sensitive images, by their source."""


@dataclass
class Data:
    """Stand-in files in one folder, made when a preset first asks for them."""

    folder: Path

    def words(self, name: str) -> list[str]:
        """What a preset's sources read instead of the real files."""
        config, words = load(name), []
        if hasattr(config.sensitive, "root"):
            root = self.folder / config.sensitive.name
            if not root.exists():
                STAND_INS[config.sensitive.name](root)
            words.append(f"sensitive.root={root}")
        if config.public.name == "imagenet":
            words.append(f"public.store={self.store(config.image)}")
            words.append("public.test_fraction=0.1")
        if config.public.name == "glyphs":
            words += ["public.images_per_category=4", "public.test_images_per_category=1"]
        return words

    def store(self, image: Image) -> Path:
        """A store as of ImageNet, with enough categories for every query."""
        root, path = self.folder / "ILSVRC2012", self.folder / f"{'x'.join(map(str, image.shape))}.beton"
        if not root.exists():
            write_classes(root / "train", dict.fromkeys(CATEGORIES, 3))
        return path if path.exists() else store_of(root, path, image, workers=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "BATCH_RECORDS", 20)
    monkeypatch.setattr(by_image, "BATCH", 16)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_checked_at_its_own_size(name: str, data: Data) -> None:
    """Its networks are built, its files found, its query fits the public categories."""
    check_experiment(load(name, data.words(name)))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_runs(name: str, data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Preflight, then every stage with a few steps."""
    words = [*SMALL, *data.words(name), f"run.root={tmp_path}", "run.name=small"]
    assert privimage("preflight", name, *words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    config = load(name, words)
    assert {row["stage"] for row in told["estimates"]} == set(MEASURES) & set(config.stages)
    vectors = write_word_vectors(
        tmp_path / "glove.txt", [*ATTRIBUTES, *CATEGORIES, *sensitive_source(config).class_names]
    )
    assert privimage("run", name, *words, f"evaluate.word_vectors={tmp_path / 'glove.txt'}", "-q") == 0
    run = tmp_path / "small"
    assert {file.name for file in (run / "release").iterdir()} == RELEASE
    if config.sensitive.name == "celeba":
        text = html.unescape((run / "internal" / "report.html").read_text())
        found = re.search(r"not private\. 1 = the same; embedding: (.*)\. <b>This run's selection: (\S+)\.</b>", text)
        assert found and found[1] == "word vectors of the 40 attributes of celeba"
        assert float(found[2]) == pytest.approx(attribute_similarity(config, run, vectors), abs=2e-3)


def write_word_vectors(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """A vector of GloVe's format for every word of the names; the mean over its words for each name."""
    random = np.random.default_rng(5)
    words = {name: re.split(r"[ _/-]", name.lower()) for name in names}
    vectors = {word: random.normal(size=6) + 0.5 for parts in words.values() for word in parts}
    path.write_text("".join(f"{word} {' '.join(map(repr, map(float, vector)))}\n" for word, vector in vectors.items()))
    return {name: np.mean([vectors[word] for word in parts], axis=0) for name, parts in words.items()}


def attribute_similarity(config: Experiment, run: Path, vectors: dict[str, np.ndarray]) -> float:
    """Equation 5 pair by pair, from the list of attributes and the selected categories."""
    lists = Path(config.sensitive.root)
    split = dict(line.split() for line in (lists / "list_eval_partition.txt").read_text().splitlines())
    rows = [line.split() for line in (lists / "list_attr_celeba.txt").read_text().splitlines()[2:]]
    attributes = [
        attribute
        for name, *values in rows
        for attribute, value in zip(ATTRIBUTES, values, strict=True)
        if split[name] == "0" and value == "1"
    ]
    chosen = json.loads((run / "stages" / "select" / "selection.json").read_text())
    numbers = public_source(config).train(progress=False).labels
    selected = [
        entry["category"] for row in chosen.values() for entry in row for _ in np.flatnonzero(numbers == entry["label"])
    ]

    def cosine(one: np.ndarray, other: np.ndarray) -> float:
        return float(one @ other / np.sqrt((one @ one) * (other @ other)))

    pairs = [cosine(vectors[a], vectors[b]) for a in sorted(set(attributes)) for b in sorted(set(selected))]
    weights = [attributes.count(a) * selected.count(b) for a in sorted(set(attributes)) for b in sorted(set(selected))]
    return float(np.average(pairs, weights=weights))


@pytest.mark.parametrize(
    ("name", "records", "categories", "query"),
    [
        ("cifar10_imagenet", 50_000, 10, 0.00455),
        ("celeba32_imagenet", 162_770, 1, 0.0005),
        ("celeba64_imagenet", 162_770, 1, 0.0005),
    ],
)
def test_the_budget_of_a_published_preset(
    name: str, records: int, categories: int, query: float, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With as many records as the real set has, the query costs almost nothing and the whole budget is used."""
    config = load(name, data.words(name))
    source = sensitive_source(config)
    assert len(source.class_names) == categories
    monkeypatch.setattr(type(source), "size", lambda self: records)
    with pytest.warns(UserWarning, match="delta"):  # the published one is above 1 / (10 n)
        budget = plan(config)
    costs = {row["name"]: row["epsilon_alone"] for row in budget.rows()}
    assert costs["semantic query"] <= query * 1.01
    assert 9.99 < budget.composed("rdp") <= 10
    if name == "cifar10_imagenet":  # at 2.3035, Opacus' accountant gives epsilon 9.99
        assert budget.mechanism("dp-sgd").noise_multiplier == pytest.approx(2.3035, abs=0.002)
