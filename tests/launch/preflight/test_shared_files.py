"""A public set that contains files of the sensitive set is refused before anything is read or charged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image as Pillow

from configs.errors import UserError
from configs.loading import load
from configs.schema import Image
from launch.components import public_source, sensitive_source
from launch.preflight.shared_files import check_files_apart
from tests.datamodules.class_images import store_of, write_classes
from tests.datamodules.stand_ins import write_celeba, write_cifar10, write_idx_files
from tests.launch.runs import TINY, privimage
from tests.launch.setups import check_experiment

pytestmark = pytest.mark.slow

SECRET = "patient"  # in the names of sensitive files, which no message may tell
ANY_SPLIT = "query.semantics=1"


@pytest.fixture
def folders(tmp_path: Path) -> SimpleNamespace:
    """Sensitive training images, test images and public images, in separate folders."""
    found = SimpleNamespace(
        train=write_classes(tmp_path / "mine", {"ill": 5, "well": 5}, seed=1),
        test=write_classes(tmp_path / "held out", {"ill": 3, "well": 2}, seed=2),
        public=write_classes(tmp_path / "open", {"cats": 4, "dogs": 4, "owls": 4}, seed=3),
    )
    for root in (found.train, found.test):
        for file in [path for path in root.rglob("*") if path.is_file()]:
            file.rename(file.with_name(f"{SECRET}-{file.name}"))
    return found


def words(folders: SimpleNamespace, *overrides: str) -> list[str]:
    return [
        "sensitive.name=folder",
        f"sensitive.root={folders.train}",
        f"sensitive.test_root={folders.test}",
        "public.name=folder",
        f"public.root={folders.public}",
        "image.channels=1",
        ANY_SPLIT,
        *overrides,
    ]


def refused(given: list[str], message: str) -> str:
    with pytest.raises(UserError, match=message) as error:
        check_experiment(load("demo", given))
    return str(error.value)


def test_sets_apart_are_accepted(folders: SimpleNamespace) -> None:
    check_experiment(load("demo", words(folders)))
    for category in ("cats", "ill"):  # equal names and copies are other files
        shutil.copytree(folders.train / "ill", folders.public / category, dirs_exist_ok=True)
    os.symlink("nowhere", folders.public / "cats" / "broken.png")
    check_experiment(load("demo", words(folders)))


def test_folders_in_one_another_are_refused(folders: SimpleNamespace, tmp_path: Path) -> None:
    write_classes(folders.train / "deep", {"a": 1})
    (tmp_path / "link").symlink_to(folders.train)
    for root in ("mine", "mine/deep", "mine/../mine", "link", "."):
        refused(words(folders, f"public.root={tmp_path / root}"), r"^public: the same images as sensitive")


def link_category(folders: SimpleNamespace) -> None:
    (folders.public / "foxes").symlink_to(folders.train / "ill")


def link_category_by_links(folders: SimpleNamespace) -> None:
    (folders.train.parent / "step").symlink_to(os.path.relpath(folders.train, folders.train.parent))
    (folders.train.parent / "ladder").symlink_to("step")
    (folders.public / "foxes").symlink_to("../ladder/ill")


def link_file(folders: SimpleNamespace) -> None:
    deep = folders.public / "foxes" / "deep"
    deep.mkdir(parents=True)
    (deep / f"{SECRET}-1.png").symlink_to(next((folders.train / "ill").glob("*.png")))


def hard_link_file(folders: SimpleNamespace) -> None:
    (folders.public / "foxes").mkdir()
    os.link(next((folders.train / "ill").glob("*.png")), folders.public / "foxes" / f"{SECRET}-1.png")


def hard_link_all(folders: SimpleNamespace) -> None:
    shutil.copytree(folders.train / "ill", folders.public / "foxes", copy_function=os.link)


def link_the_other_way(folders: SimpleNamespace) -> None:
    """The sensitive folder has a link to a public file."""
    (folders.public / "foxes").mkdir()
    shutil.copy(folders.public / "owls" / "001.png", folders.public / "foxes" / "1.png")
    (folders.train / "ill" / "also.png").symlink_to(folders.public / "foxes" / "1.png")


LINKS = [link_category, link_category_by_links, link_file, hard_link_file, hard_link_all, link_the_other_way]


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.__name__)
def test_files_that_both_have_are_refused_by_the_public_category_alone(
    folders: SimpleNamespace, link: Callable[[SimpleNamespace], None]
) -> None:
    link(folders)
    said = refused(words(folders), r"^public: \d of its files are files of sensitive training images")
    assert f"'{folders.public / 'foxes'}'. Public training protects nobody" in said
    assert SECRET not in said and ".png" not in said


def test_sensitive_test_images_count_as_well(folders: SimpleNamespace) -> None:
    (folders.public / "foxes").symlink_to(folders.test / "well")
    refused(words(folders), r"^public: 2 of its files are files of sensitive test images, by symbolic or hard links")
    said = refused(
        words(folders, f"public.root={folders.test}"), r"^public: 5 of its files are files of sensitive test"
    )
    assert SECRET not in said
    split = [word for word in words(folders, f"sensitive.root={folders.test}") if "test_root" not in word]
    refused([*split, "sensitive.test_fraction=0.99"], r"sensitive (training|test) images")


def test_public_test_images_count_as_well(folders: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "aside" / "cats").mkdir(parents=True)
    os.link(next((folders.train / "ill").glob("*.png")), tmp_path / "aside" / "cats" / "1.png")
    refused(words(folders, f"public.test_root={tmp_path / 'aside'}"), r"^public: 1 of its files")


def test_of_public_benchmarks_files_are_named(folders: SimpleNamespace) -> None:
    link_file(folders)
    said = refused(words(folders, "sensitive.public_benchmark=true"), "files of sensitive training images")
    assert f"'{folders.public / 'foxes' / 'deep' / f'{SECRET}-1.png'}'" in said


@pytest.mark.parametrize("kind", ["root", "store"])
def test_large_sets_and_stores_of_links_are_refused(folders: SimpleNamespace, tmp_path: Path, kind: str) -> None:
    hard_link_file(folders)
    store = store_of(folders.public, tmp_path / "open.beton", Image(8, 1))
    place = f"public.root={folders.public}" if kind == "root" else f"public.store={store}"
    given = [word for word in words(folders) if not word.startswith("public.")]
    refused([*given, "public.name=imagenet", place], r"^public: 1 of its files are files of sensitive training images")
    shutil.rmtree(folders.public / "foxes")
    check_experiment(load("demo", [*given, "public.name=imagenet", place]))
    given = [word for word in given if "test_root" not in word]
    refused([*given, "public.name=imagenet", place, f"sensitive.root={folders.public}"], "^public: the same images")


@pytest.mark.parametrize("link", [link_category, link_category_by_links, link_file])
def test_a_store_remembers_where_links_led(
    folders: SimpleNamespace, tmp_path: Path, link: Callable[[SimpleNamespace], None]
) -> None:
    """Also if the folder that it was made from is gone."""
    link(folders)
    store = store_of(folders.public, tmp_path / "open.beton", Image(8, 1))
    shutil.rmtree(folders.public)
    given = [word for word in words(folders) if not word.startswith("public.")]
    given += ["public.name=imagenet", f"public.store={store}"]
    refused(given, r"^public: the same images as sensitive")
    check_experiment(load("demo", [*given, f"sensitive.root={folders.test}"]))


def test_one_store_for_both_is_refused(folders: SimpleNamespace, tmp_path: Path) -> None:
    store = store_of(folders.public, tmp_path / "a.beton", Image(8, 1))
    other = tmp_path / "b.beton"
    os.link(store, other)
    side = (tmp_path / "a.beton.json").read_text()
    (tmp_path / "b.beton.json").write_text(side.replace(str(folders.public), str(tmp_path / "gone")))
    given = ["sensitive.name=imagenet", f"sensitive.store={store}", "public.name=imagenet", f"public.store={other}"]
    refused(
        [*given, "image.channels=1", "query.semantics=1"], "^public: 1 of its files are files of sensitive training"
    )


@pytest.mark.parametrize(
    ("name", "write", "first"),
    [
        ("mnist", lambda root: write_idx_files(root, 20, 10), "train-images-idx3-ubyte.gz"),
        ("cifar10", lambda root: write_cifar10(root, 10), "data_batch_1"),
        ("celeba", lambda root: write_celeba(root, 20, 9), "img_align_celeba/"),
    ],
)
def test_files_of_benchmarks_are_compared(
    tmp_path: Path, name: str, write: Callable[[Path], object], first: str
) -> None:
    write(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine", tmp_path / "open", copy_function=os.link)
    given = [f"sensitive.name={name}", f"sensitive.root={tmp_path / 'mine'}", f"public.name={name}"]
    config = load("demo", [*given, f"public.root={tmp_path / 'open'}"])
    with pytest.raises(UserError, match=r"^public: \d+ of its files are files of sensitive training images") as error:
        check_files_apart(public_source(config), sensitive_source(config))
    assert f"'{tmp_path / 'open'}/{first}" in str(error.value)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("mnist", lambda root: write_idx_files(root, 20, 10)),
        ("fashion_mnist", lambda root: write_idx_files(root, 20, 10)),
        ("cifar10", lambda root: write_cifar10(root, 10)),
        ("celeba", lambda root: write_celeba(root, 20, 9)),
    ],
)
def test_two_copies_of_one_benchmark_are_the_same_images(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    """The benchmark's name says which images they are, in any folder."""
    for place in ("one", "two"):
        write(tmp_path / place)
    given = [f"sensitive.name={name}", f"sensitive.root={tmp_path / 'one'}", "query.semantics=1"]
    refused([*given, f"public.name={name}", f"public.root={tmp_path / 'two'}"], "^public: the same images as sensitive")


def test_nothing_is_begun_where_files_are_shared(
    folders: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole command, in every method that sees public images: no ledger, no folder, and no image is read."""
    link_category(folders)
    for file in folders.public.parent.rglob("*.png"):
        file.write_text("no image: whoever opens it fails otherwise")
    given = [*(word for word in TINY if not word.startswith("public.")), *words(folders), "privacy.delta=1e-2"]
    given += ["finetune.batch_size=5", f"run.root={tmp_path / 'runs'}", "selection.names=['cats -> ill']"]
    for command in ("run", "preflight"):
        for method in ("privimage_d", "pdp_diffusion", "sim_pe", "public_only"):
            pool = ["evolution.api.name=pool"] if method == "sim_pe" else []
            assert privimage(command, "demo", *given, f"method={method}", *pool) == 2
            said = capsys.readouterr()
            assert "files of sensitive training images" in said.err and SECRET not in said.err + said.out
    assert not (tmp_path / "runs").exists()


def test_sub_folders_of_a_sensitive_set_are_not_named(folders: SimpleNamespace, tmp_path: Path) -> None:
    deep = folders.test / "ill" / f"{SECRET}-smith"
    deep.mkdir()
    write_classes(deep, {"x": 1}, seed=4)
    given = words(folders, f"public.test_root={folders.test}")
    with pytest.raises(UserError) as error:
        check_experiment(load("demo", given))
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("split", ["labels_file", "test_labels_file"])
def test_rows_that_are_not_declared_are_named_to_nobody_in_a_log(
    split: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number of records is asked for before any image is read, and so are the files: both read the table."""
    Pillow.new("L", (9, 9)).save(tmp_path / "jones.png")
    Pillow.new("L", (9, 9)).save(tmp_path / "smith.png")
    for name in ("labels_file", "test_labels_file"):
        other = "rare" if name == split else "a"
        (tmp_path / f"{name}.csv").write_text(f"file_name,label\njones.png,a\nsmith.png,{other}\n")
    write_classes(tmp_path / "public", {"x": 3, "y": 3})
    words = [f"sensitive.{name}={tmp_path}/{name}.csv" for name in ("labels_file", "test_labels_file")]
    words += ["sensitive.name=table", f"sensitive.root={tmp_path}", "sensitive.classes=[a]", "privacy.delta=0.1"]
    words += ["public.name=folder", f"public.root={tmp_path}/public", "finetune.batch_size=1"]
    assert privimage("preflight", "demo", *words, "--no-measure") == 2
    said = capsys.readouterr().err
    assert f"sensitive.{split}: rows whose category is not one of the declared ones." in said
    assert "smith" not in said and "On a terminal this command says which" in said
