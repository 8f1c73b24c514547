"""`import privimage`: the documented lines, and what is imported when."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import privimage
from configs.loading import load
from launch.run.directory import RunDirectory
from launch.run.guarantee import Guarantee
from privimage.running import result_of
from tests.launch.conftest import finished  # noqa: F401  (the fixture)
from tests.launch.runs import TINY, run_words

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = """
import sys, privimage
assert privimage.__version__ and "run" in dir(privimage)
print(*[name for name in ("torch", "lightning", "numpy", "launch", "configs", "omegaconf") if name in sys.modules])
privimage.UserError
"""


def fresh(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Code in an interpreter of its own, with a folder as the script's folder."""
    (folder / "script.py").write_text(f"import sys; sys.path.insert(1, {str(ROOT)!r})\n{code}")
    return subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_import_itself_imports_nothing_else(tmp_path: Path) -> None:
    done = fresh(IMPORTED, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "\n"


def test_a_package_of_your_own_with_a_name_that_is_taken_is_named(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "__init__.py").write_text("")
    done = fresh("import privimage\nprivimage.UserError", tmp_path)
    assert done.returncode == 1
    assert "another package called 'configs'" in done.stderr.splitlines()[-1] and str(tmp_path) in done.stderr


def test_a_name_that_does_not_exist_is_one() -> None:
    with pytest.raises(AttributeError, match="there are: "):
        _ = privimage.trian  # type: ignore[attr-defined]
    assert all(getattr(privimage, name) is not None for name in privimage.__all__)


@pytest.fixture
def copy(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """A finished run that is `runs/demo` of the current folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(finished, tmp_path / "runs" / "demo"))


@pytest.mark.slow
def test_the_documented_lines_run(
    copy: Path,
    finished: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`run` gets the overrides of the finished tiny run, which it therefore finds done."""
    real, words = privimage.run, run_words(finished, report=True)[2:]
    monkeypatch.setattr(privimage, "run", lambda experiment: real(experiment, words))
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), flags=re.DOTALL):
        exec(block, names)
    assert names["images"].shape == (100, 8, 8, 1) and names["labels"].shape == (100,)  # type: ignore[attr-defined]
    result, release, ledger = names["result"], names["release"], names["ledger"]
    assert isinstance(result, privimage.Result) and isinstance(release, privimage.Release)
    assert result.epsilon == release.epsilon == ledger.epsilon() <= 10  # type: ignore[attr-defined]
    assert result.folder == finished and result.release == finished / "release" and result.notice is None
    assert set(result.scores[0]["accuracies"]) == {"lr"} and result.report is not None
    assert names["plan"].target_epsilon == 5 >= names["plan"].epsilon  # type: ignore[attr-defined]
    assert "dp-sgd" in capsys.readouterr().out


@pytest.mark.slow
def test_a_release_is_loaded_and_sampled_without_its_run(copy: Path) -> None:
    shutil.move(copy / "release", copy.parent.parent / "given")
    release = privimage.load_release("given")
    assert np.array_equal(release.sample(60, seed=0, batch_size=20)[0], release.images)
    assert not np.array_equal(release.sample(10)[0], release.sample(10)[0])
    for numbers in ({"n": 0}, {"n": 1, "seed": -1}, {"n": 1, "batch_size": 0}):
        with pytest.raises(privimage.UserError, match="sample: got"):
            release.sample(**numbers)
    (copy.parent.parent / "given" / "model.json").unlink()
    with pytest.raises(privimage.UserError, match="images only"):
        _ = privimage.load_release("given").model


@pytest.mark.slow
def test_mistakes_are_exceptions(copy: Path) -> None:
    with pytest.raises(privimage.UserError, match=r"privacy\.epsilon"):
        privimage.run("demo", ["privacy.epsilom=1"])
    with pytest.raises(privimage.UserError, match="one process"):
        privimage.run("demo", ["launch.devices=2"])
    with pytest.raises(privimage.UserError, match="there is no run"):
        privimage.open_ledger("other")
    ledger = copy / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b"dp-sgd", b"dp-sgx", 1))
    with pytest.raises(privimage.LedgerError):
        privimage.open_ledger(copy)


@pytest.mark.slow
def test_without_noise_no_epsilon_is_claimed(tmp_path: Path) -> None:
    words = [*TINY, "method=nonpriv_d"]
    plan = privimage.plan("demo", words)
    assert plan.epsilon is None and "NOT PRIVATE" in (plan.notice or "")
    result = result_of(RunDirectory(tmp_path, Guarantee.of(load("demo", words))))
    assert result.release is result.epsilon is None and "NOT PRIVATE" in (result.notice or "")
