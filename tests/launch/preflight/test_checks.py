"""What is found wrong before any image is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import nn

from configs.components.networks import NETWORK_NAMES
from configs.errors import UserError
from configs.loading import load
from evaluation.scores import CONTROLS
from launch.stages.evaluate import MAKE
from lightning_modules.registries import NETWORKS
from tests.datamodules.class_images import write_classes
from tests.launch.setups import check_experiment


def test_the_demo_has_nothing_wrong() -> None:
    check_experiment(load("demo"))


def test_as_many_categories_as_there_are_may_be_taken() -> None:
    check_experiment(load("demo", ["query.semantics=129", "selection.semantics=12"]))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["run.name=a/b"], r"run\.name: got 'a/b'; allowed is a plain folder name"),
        (["run.name=" + "é" * 101], r"run\.name: got 101 letters; a folder's name has at most 200 bytes"),
        (["run.name=.."], r"run\.name: got '\.\.'"),
        (["run.name="], r"run\.name"),
        (["query.semantics=130"], r"query\.semantics: got 130; allowed is at most 129"),
        (["evaluate.classifiers=[lr,svm]"], r"evaluate\.classifiers: there is no 'svm' \(there are: cnn, lenet, lr, "),
        (["selection.semantics=13"], r"selection\.semantics: 13 .* are 130, but 'glyphs' has 129.* at most 12"),
        (["query.per_category=false", "selection.semantics=130"], r"selection\.semantics"),
        (["generator.network.base_channels=5"], r"^generator\.network\.base_channels"),
        (["generator.network.multipliers=[1,1,1,1,1]"], r"^generator\.network\.multipliers"),
        (["generator.sampler.sigma_min=90"], r"^generator\.sampler\.sigma_min"),
        (["classifier.network.blocks=[]"], r"^classifier\.network\.blocks"),
        (["public.name=folder", "public.root=nowhere"], r"^public\.root: no folder at 'nowhere'"),
        (["sensitive.name=mnist", "sensitive.root=nowhere"], r"^sensitive\.root: no folder at 'nowhere'"),
        (["public.fill_smallest=1.2"], r"^public\.fill_smallest"),
        (["evaluate.word_vectors=nowhere.txt"], r"^evaluate\.word_vectors: no file at 'nowhere\.txt'"),
        (["evaluate.inception_weights=nowhere.pth"], r"^evaluate\.inception_weights: no file at 'nowhere\.pth'"),
        (["public.name=digits"], "the same images as sensitive"),
        (["generator.name=teacher"], r"generator\.name: the stage 'synthesize' needs a model that draws images"),
        (["method=sim_pe_taught", "generator.name=gan"], r"'publish_taught' needs a model that labels images"),
        (["evaluate.controls=[before,after]"], r"evaluate\.controls: there is no 'after' \(there are: before, "),
    ],
)
def test_what_could_only_fail_later_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_experiment(load("demo", overrides))


def test_a_public_set_with_fewer_categories_than_the_sensitive_one_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "public", {"a": 2, "b": 2})
    with pytest.raises(UserError, match=r"^public: 'folder' has 2 categories, but each of the 10 sensitive ones"):
        check_experiment(load("demo", ["public.name=folder", f"public.root={tmp_path / 'public'}"]))


def test_word_vectors_that_know_no_public_category_are_refused(tmp_path: Path) -> None:
    """They are read in the stage `evaluate`, after the whole budget is spent."""
    path = tmp_path / "glove.txt"
    path.write_text("zebra 0.1 0.2\n")
    with pytest.raises(UserError, match=r"^evaluate\.word_vectors: .* has no vector for any of the 129 category names"):
        check_experiment(load("demo", [f"evaluate.word_vectors={path}"]))


@dataclass
class MixedConfig:
    name: str = "mixed"


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A network whose layers mix records, registered for a moment."""
    monkeypatch.setattr(NETWORK_NAMES, "_configs", dict(NETWORK_NAMES._configs))
    monkeypatch.setattr(NETWORKS, "_builders", dict(NETWORKS._builders))
    NETWORK_NAMES.add(MixedConfig)
    NETWORKS.register(MixedConfig)(lambda config, **shape: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)))
    yield


def test_every_control_that_is_known_can_be_made() -> None:
    assert MAKE.keys() == CONTROLS.keys() == set(load("demo").evaluate.controls)


@pytest.mark.usefixtures("mixed")
def test_a_network_that_mixes_records_is_refused() -> None:
    with pytest.raises(UserError, match=r"generator\.network: the layer '1' \(BatchNorm2d\) cannot be trained with DP"):
        check_experiment(load("demo", ["generator.network.name=mixed"]))


def test_images_are_not_opened(tmp_path: Path) -> None:
    for category in "ab":
        (tmp_path / category).mkdir()
        (tmp_path / category / "1.png").write_text("no image")
    check_experiment(load("demo", ["sensitive.name=folder", f"sensitive.root={tmp_path}"]))


def test_categories_without_a_public_one_of_their_name_are_pointed_out() -> None:
    words = ["method=public_only", "selection.names=['A -> 0', 'B -> 1']"]
    with pytest.warns(UserWarning, match="no public category matches 2, 3, 4, 5, 6…: 8 of 10"):
        check_experiment(load("demo", words))
