"""`privimage verify`: a release that is what it says, and every way in which it may not be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.errors import UserError
from datamodules.sets.image_set import ImageSet
from launch.run.directory import RunDirectory
from launch.run.guarantee import Guarantee
from launch.run.release import write_release
from launch.run.verifying import verify
from tests.launch.run.test_release import charged
from tests.launch.runs import FIXED, privimage

pytestmark = pytest.mark.slow


def released_to(folder: Path, *overrides: str) -> Path:
    """A release of random images without a model, of a ledger that is charged with a whole plan."""
    config, ledger = charged(folder, *overrides)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)
    images = ImageSet(pixels, np.arange(20, dtype=np.int64) % 10, tuple("0123456789"))
    directory = RunDirectory(folder, Guarantee.of(config))
    write_release(directory, config, ledger, images)
    return directory.outputs


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released_to(tmp_path_factory.mktemp("release"))


@pytest.fixture
def release(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def change(release: Path, act: Callable[[dict[str, Any]], Any]) -> None:
    path = release / "privacy.json"
    statement = json.loads(path.read_text())
    act(statement)
    path.write_text(json.dumps(statement))


def test_a_release_is_what_it_says(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("verify", str(release)) == 0
    text = capsys.readouterr().out
    assert "compose to ε = 9.99" in text and "WRONG" not in text
    assert "What this does not prove" in text and "digests are not signatures" in text
    assert privimage("verify", str(release), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] and told["epsilon"] == pytest.approx(told["claimed"]) and told["wrong"] == []


def test_the_run_itself_can_be_given(finished: Path) -> None:
    assert privimage("verify", finished.name, "--root", str(finished.parent)) == 0


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda told: told.update(epsilon=1.0), "ε is stated as 1.0000, but the mechanisms compose to 9.99"),
        (lambda told: told["mechanisms"][1].update(noise_multiplier=0.1), "but the mechanisms compose to"),
        (lambda told: told["mechanisms"][1].update(steps=5), "but the mechanisms compose to"),
        (lambda told: told["epsilon_by_accountant"].update(prv=1.0), r"ε (PRV) is stated as 1.0000"),
        (lambda told: told["groups"][0].update(epsilon=9.0), "for 2 records together"),
        (lambda told: told.update(delta=1e-6), "but the mechanisms compose to"),
        (lambda told: told.update(private=False, notice="NOT PRIVATE: x"), "NOT PRIVATE: x"),
        (lambda told: told.pop("epsilon"), "states no ε"),
    ],
)
def test_a_claim_that_is_not_right_fails(
    release: Path, act: Callable[[dict[str, Any]], Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(release, act)
    assert privimage("verify", str(release)) == 1
    text = capsys.readouterr().out
    assert said in text and "do not rely on this release" in text


@pytest.mark.parametrize(
    "act",
    [
        lambda told: told.pop("mechanisms"),
        lambda told: told["mechanisms"][1].pop("noise_multiplier"),
        lambda told: told["mechanisms"][1].update(kind="laplace"),
        lambda told: told.update(accountant="mine"),
        lambda told: told.update(epsilon="small"),
        lambda told: told.update(delta=0.5),
        lambda told: told.update(groups=[{}]),
        lambda told: told.pop("private"),
    ],
)
def test_a_statement_that_cannot_be_checked_is_one_message(
    release: Path, act: Callable[[dict[str, Any]], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    change(release, act)
    assert privimage("verify", str(release)) == 2
    error = capsys.readouterr().err
    assert error.startswith("privimage: '") and error.count("\n") == 1


def test_a_more_than_fair_claim_is_right(release: Path) -> None:
    """An ε above what the mechanisms cost holds too; the pages have to state the same."""
    change(release, lambda told: told.update(epsilon=11.0))
    wrong = verify(release).wrong
    assert wrong and all("does not state the guarantee" in text for text in wrong)


def test_damaged_missing_and_other_files_are_named(release: Path) -> None:
    path = release / "synthetic.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    (release / "samples.png").unlink()
    (release / "more.npz").touch()
    verdict = verify(release)
    assert [text.split()[0] for text in verdict.wrong] == ["samples.png", "synthetic.npz"]
    assert len(verdict.unknown) == 1 and "more.npz" in verdict.unknown[0]


def test_a_page_that_states_less_is_found(release: Path) -> None:
    page = release / "PRIVACY.md"
    page.write_text(page.read_text().replace("ε = 9.", "ε = 1."))
    assert any("PRIVACY.md does not state" in text for text in verify(release).wrong)


def test_digests_name_no_other_folder(release: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    change(release, lambda told: told.update(files={"../secret": "0"}))
    assert verify(release).wrong[0].startswith("secret cannot be read")


def test_a_statement_of_an_earlier_version_is_checked_without_digests(release: Path) -> None:
    change(release, lambda told: told.pop("files"))
    verdict = verify(release)
    assert verdict.ok and "has no digests" in verdict.unknown[0]


def test_a_fixed_key_is_no_guarantee(tmp_path: Path) -> None:
    verdict = verify(released_to(tmp_path, FIXED))
    assert verdict.wrong == [json.loads((tmp_path / "release" / "privacy.json").read_text())["notice"]]


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_damaged_statement_is_one_message(release: Path, text: str) -> None:
    (release / "privacy.json").write_text(text)
    with pytest.raises(UserError, match="Take another copy"):
        verify(release)
