"""`privimage init`: from a folder to a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from configs.loading import load
from tests.launch.runs import draw_shapes, privimage

SMALL = [
    *(
        "launch.threads=1",
        "launch.accelerator=cpu",
        "public.images_per_category=4",
        "public.test_images_per_category=1",
    ),
    *("classifier.steps=3", "classifier.validate_every=3", "pretrain.steps=2", "pretrain.batch_size=8"),
    *("finetune.steps=2", "finetune.batch_size=8", "finetune.snapshots=0", "synthesize.count=20"),
    *("synthesize.batch_size=20", "evaluate.classifiers=[lr]", "evaluate.tsne=false", "tracking=[]"),
]


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two categories of colour images, split into two folders; the working directory is next to them."""
    draw_shapes(tmp_path / "my shapes" / "train", 0, 30)
    draw_shapes(tmp_path / "my shapes" / "test", 1, 8)
    monkeypatch.chdir(tmp_path)
    return Path("my shapes")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_commands_from_a_folder_to_a_release(shapes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["init", str(shapes), "--resolution", "8"]
    assert privimage(*words, "--minutes", "1", "--no-measure", "--output", "short.yaml") == 0
    capsys.readouterr()
    assert privimage(*words, "--minutes", "600") == 0  # measured
    said = capsys.readouterr()
    assert said.out == "wrote my-shapes.yaml; look at it, then: privimage run my-shapes.yaml\n"
    assert "60 images for training (16 for testing) in 2 categories: bars, discs" in said.err
    assert load("my-shapes.yaml").pretrain.steps > 10 * load("short.yaml").pretrain.steps
    assert privimage("run", "my-shapes.yaml", *SMALL, "-q") == 0
    assert Path("runs/my-shapes/release/synthetic.npz").is_file()


def test_no_image_is_opened_unless_it_is_allowed(
    shapes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    original = Pillow.open
    monkeypatch.setattr(Pillow, "open", lambda path, *rest: opened.append(str(path)) or original(path, *rest))
    assert privimage("init", str(shapes), "--no-measure", "--output", "a.yaml") == 0
    assert not opened and "No image was opened" in capsys.readouterr().err
    assert privimage("init", str(shapes), "--no-measure", "--output", "b.yaml", "--look") == 0
    assert len(opened) == 1 and "One header was read" in capsys.readouterr().err
    assert load("a.yaml", ["method=sim_pe_taught"]).generator.name == "teacher"
    assert load("a.yaml").image.resolution == 32 and load("b.yaml").image.resolution in (8, 16)


def test_settings_depend_on_public_facts_alone(shapes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["init", str(shapes), "--resolution", "8", "--no-measure", "--json"]
    assert privimage(*words, "--output", "a.yaml") == 0
    before = json.loads(capsys.readouterr().out)["settings"]
    for number, path in enumerate(sorted(shapes.rglob("*.png"))):
        Pillow.fromarray(np.full((9, 9), number % 256, np.uint8)).save(path)
    assert privimage(*words, "--output", "b.yaml") == 0
    assert json.loads(capsys.readouterr().out)["settings"] == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none"], "there is no folder or file 'none'"),
        (["my shapes/train/bars"], "has no layout that is known"),
        (["my shapes", "--epsilon", "0"], "--epsilon: got 0"),
        (["my shapes", "--minutes", "-1"], "--minutes: got -1"),
        (["my shapes", "--resolution", "2"], "--resolution: got 2"),
        (["my shapes", "--public", "none"], "there is no folder or file 'none'"),
        (["my shapes", "--public", "none.beton"], "none.beton.json"),
        (["my shapes", "--output", "there.yaml"], "'there.yaml' exists already"),
        (["my shapes", "--resolution", "32", "--public", "my shapes/train"], "sensitive"),
    ],
)
def test_a_mistake_is_one_message(
    words: list[str], message: str, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("there.yaml").write_text("mine")
    assert privimage("init", *words) == 2
    said = capsys.readouterr()
    assert message in said.err and "Traceback" not in said.err and not said.out
    assert [path.name for path in Path().glob("*.yaml")] == ["there.yaml"] and Path("there.yaml").read_text() == "mine"
