"""Every method of `configs/methods`, from data to report at the smallest size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from accounting.ledger import Ledger
from configs.errors import UserError
from configs.loading import load
from configs.presets import preset_names
from launch.run.directory import read_run
from launch.run.guarantee import Guarantee
from launch.run.release import read_images
from launch.run.stage import order
from launch.training.checkpoint_io import DurableCheckpointIO
from tests.launch.runs import RELEASE, TINY, TINY_GAN, TINY_TEACHER, Child, at, charges, privimage, statement
from tests.launch.setups import plan
from tests.launch.watching import SCORED, secret, watch_answers, watch_key, watch_readings, watch_scaling

pytestmark = pytest.mark.slow

CHARGES = {
    "privimage_d": ["semantic query", "dp-sgd"],
    "pdp_diffusion": ["dp-sgd"],
    "dpdm": ["dp-sgd"],
    "privimage_g": ["semantic query", "dp-sgd"],
    "dpgan_p": ["dp-sgd"],
    "dpgan": ["dp-sgd"],
    "random_selection": ["dp-sgd"],
    "query_only": ["semantic query"],
    "sim_pe": ["private evolution"],
    "pe": ["private evolution"],
    "sim_pe_then_pe": ["private evolution"],
    "privimage_evolved": ["semantic query", "private evolution", "dp-sgd"],
    "sim_pe_taught": ["private evolution", "dp-sgd"],
    "sim_pe_voted": ["private evolution"],
    "public_only": [],
}
OPEN = ["nonpriv_d", "nonpriv_g", "nonpriv"]
TINY_OF = {"diffusion": TINY, "gan": TINY_GAN, "teacher": TINY_TEACHER}
PRETRAINED = ("privimage_d", "pdp_diffusion", "random_selection", "privimage_g", "dpgan_p", "privimage_evolved")


def words_of(method: str) -> list[str]:
    """The overrides that make a tiny run of a method."""
    tiny = TINY_OF[load("demo", [f"method={method}"]).generator.name]
    seldom = "launch.checkpoint_minutes=5"  # no run here is stopped
    return [*tiny, seldom, f"method={method}", *(["evolution.api.then_from=1"] if method == "sim_pe_then_pe" else [])]


def run_words(path: Path, method: str, *overrides: str) -> list[str]:
    """The command that makes the tiny run `path` with a method."""
    return ["run", "demo", f"run.root={path.parent}", f"run.name={path.name}", *words_of(method), *overrides]


def scores(path: Path) -> list[str]:
    """The names of the sets that a run scored."""
    return [row["name"] for row in json.loads((path / "internal" / "scores.json").read_text())["scores"]]


def test_every_method_is_tried_here() -> None:
    assert {*CHARGES, *OPEN} == set(preset_names("methods"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", CHARGES)
def test_a_private_method_is_charged_for_what_it_reads_and_releases(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stage has its own charge before it reads; an answer is on the disk before the ledger says so."""
    path, config = tmp_path / method, load("demo", words_of(method))
    readings, answers, scaled_by = watch_readings(monkeypatch), watch_answers(monkeypatch), watch_scaling(monkeypatch)
    done = watch_key(monkeypatch)
    assert privimage(*run_words(path, method)) == 0
    assert charges(path) == CHARGES[method]
    found, ledger = statement(path), Ledger.read(path / "ledger.jsonl")
    assert found["private"] and found["epsilon"] == pytest.approx(ledger.epsilon())
    assert [mechanism["name"] for mechanism in found["mechanisms"]] == CHARGES[method]
    private = [reading for reading in readings if reading.stage not in SCORED]
    assert all(reading.begun and reading.images == "sensitive" for reading in private), private
    charged = [each.role for each in order(config) if each.charged]
    assert {reading.stage for reading in private} == set(charged)
    last = max((place for place, (role, _) in enumerate(done) if role in charged), default=-1)
    assert [there for _, there in done[last + 1 :]] == [False] * (len(done) - last - 1)  # nor at any later time
    assert all(survives for _, survives in answers) and {name for name, _ in answers} == set(CHARGES[method])
    assert bool(scaled_by) == ("private evolution" in CHARGES[method])
    assert not {image.tobytes() for images in scaled_by for image in images} & secret(config)
    assert ("dp-sgd" not in CHARGES[method]) or found["epsilon"] > 9.9
    files = {file.name for file in (path / "release").iterdir()}
    has_model = "synthesize" in load("demo", [f"method={method}"]).stages
    assert RELEASE - files == (set() if has_model else {"model.json", "model.safetensors"})
    assert len(read_images(path / "release" / "synthetic.npz")) == 60
    assert not (path / "internal" / "key").exists() and not (path / "internal" / "outputs").exists()
    assert (path / "internal" / "report.html").is_file()
    before = any(name.startswith("before fine-tuning") for name in scores(path))
    assert before == (method in PRETRAINED)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", OPEN)
def test_a_method_without_noise_releases_nothing_and_says_so_everywhere(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / method
    assert privimage(*run_words(path, method)) == 0
    console = capsys.readouterr().err
    assert "NOT PRIVATE" in console and "guarantee" not in console and "publish     nothing" in console
    assert not (path / "release").exists() and charges(path) == []
    outputs = path / "internal" / "outputs"
    kept = json.loads((path / "plan.json").read_text())
    assert "NOT PRIVATE" in kept["notice"] and kept["epsilon"] is None
    found = json.loads((outputs / "privacy.json").read_text())
    assert found["private"] is False and "NOT PRIVATE" in found["notice"] and "epsilon" not in found
    assert "publish nothing" in (outputs / "PRIVACY.md").read_text()
    with np.load(outputs / "synthetic.npz") as data:
        assert "NOT PRIVATE" in str(data["notice"])
    assert "NOT PRIVATE" in (path / "internal" / "report.html").read_text()
    assert "every file in this folder" in (path / "NOT_PRIVATE.txt").read_text()
    assert (path / "config.yaml").read_text().startswith("# NOT PRIVATE")
    for weights in (path / "stages").glob("*/*.safetensors"):  # the classifier has seen only public images
        with safe_open(weights, "np") as file:
            marked = "NOT PRIVATE" in (file.metadata() or {}).get("notice", "")
            assert marked == (weights.parent.name != "classifier")
    for checkpoint in (path / "stages").glob("*/checkpoints-*/*.ckpt"):
        content = DurableCheckpointIO().load_checkpoint(checkpoint)
        assert ("NOT PRIVATE" in content.get("notice", "")) == ("classifier" not in str(checkpoint.parent.parent.name))
    assert privimage("ledger", str(path)) == 0
    shown = capsys.readouterr().out
    assert "NOT PRIVATE" in shown and "ε = 0" not in shown
    assert privimage("ledger", str(path), "--json") == 0
    assert json.loads(capsys.readouterr().out)["epsilon"] is None
    assert privimage("preflight", "demo", *words_of(method)) == 0
    assert "NOT PRIVATE" in capsys.readouterr().out
    assert privimage("export", str(path), str(tmp_path / "files")) == 0
    assert "NOT PRIVATE" in (tmp_path / "files" / "NOT_PRIVATE.txt").read_text()


def test_a_method_without_noise_cannot_pass_for_a_private_one() -> None:
    for method in preset_names("methods"):
        config = load("demo", words_of(method))
        assert Guarantee.of(config).private == (method in CHARGES)
        reads = [each for each in order(config) if each.reads_sensitive and not each.makes[0].startswith("internal/")]
        assert all(each.charged for each in reads) == (method in CHARGES)


@pytest.mark.filterwarnings("ignore")
def test_no_folder_decides_where_outputs_go(tmp_path: Path) -> None:
    """An empty folder that appears or disappears makes nothing a release, and hides no release."""
    open_run, private = tmp_path / "open", tmp_path / "private"
    (private / "internal" / "outputs").mkdir(parents=True)
    child = Child(
        run_words(open_run, "nonpriv_d"),
        tmp_path / "output",
        at("*/stages/pretrain/done.json", lambda: shutil.rmtree(open_run / "internal" / "outputs", ignore_errors=True)),
    )
    assert child.wait() == 0, child.text
    assert not (open_run / "release").exists() and (open_run / "internal" / "outputs" / "model.safetensors").is_file()
    (private / "internal" / "outputs").rmdir()
    (private / "internal").rmdir()
    assert privimage(*run_words(private, "public_only")) == 0
    (private / "internal" / "outputs").mkdir()
    assert read_run(str(private))[0].outputs == private / "release"


@pytest.mark.filterwarnings("ignore")
def test_an_exact_query_is_not_called_noisy(tmp_path: Path) -> None:
    assert privimage(*run_words(tmp_path / "run", "nonpriv_d")) == 0
    page = (tmp_path / "run" / "internal" / "report.html").read_text()
    assert "differentially private, like" not in page and "guarantee covers" not in page
    assert "NOT PRIVATE" in json.loads((tmp_path / "run" / "stages" / "query" / "histogram.json").read_text())["notice"]
    selection = json.loads((tmp_path / "run" / "stages" / "select" / "selection.json").read_text())
    assert all("exact_count" in entry and "noisy_count" not in entry for row in selection.values() for entry in row)


@pytest.mark.filterwarnings("ignore")
def test_labels_that_mean_nothing_are_not_released(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["query_only", "query.per_category=false"],
        ["query_only", "stages=[classifier,select_all,publish_selection,evaluate,report]"],
    ):
        assert privimage(*run_words(tmp_path / "run", *words)) == 2
        assert "for no particular sensitive category" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_makes_nothing_names_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage(*run_words(tmp_path / "run", "dpdm", "stages=[select_all,pretrain]")) == 0
    assert "publish" not in capsys.readouterr().err
    assert privimage(*run_words(tmp_path / "none", "dpdm", "stages=[]")) == 2
    assert "there is nothing to do" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_a_finished_run_of_another_method_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert privimage(*run_words(path, "public_only")) == 0
    assert privimage(*run_words(path, "nonpriv")) == 2


@pytest.mark.filterwarnings("ignore")
def test_a_query_alone_must_fit_the_budget() -> None:
    words = [*TINY, "method=query_only", "query.noise_multiplier=1"]
    spent = plan(load("demo", words)).composed()
    with pytest.raises(UserError, match=r"privacy.epsilon: semantic query .* costs epsilon"):
        plan(load("demo", [*words, f"privacy.epsilon={0.99 * spent}"]))


@pytest.mark.filterwarnings("ignore")
def test_public_categories_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = "selection.names=['A -> 0', 'B -> 1', 'C -> 1']"
    assert privimage(*run_words(tmp_path / "run", "public_only", names)) == 0
    released = read_images(tmp_path / "run" / "release" / "synthetic.npz")
    assert set(released.labels.tolist()) == {0, 1}
    for wrong, message in (("A > 0", "got 'A > 0'"), ("A -> zero", "got 'A -> zero'"), ("Ä -> 0", "got 'Ä -> 0'")):
        assert privimage(*run_words(tmp_path / "other", "public_only", f"selection.names=['{wrong}']")) == 2
        assert f"selection.names: {message}" in capsys.readouterr().err
