"""The examples run, each in its own process, and do what they say."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_modules.dp_sgd.fused.engine import FusedEngine
from lightning_modules.dp_sgd.grid import grid_unit
from tests.lightning_modules.dp_sgd.private import reserved
from tests.lightning_modules.dp_sgd.toy import autograd_sum

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"


def output(name: str, *arguments: str) -> str:
    """The output of an example run as a program, in a forked process; it must succeed."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        run_program(EXAMPLES / f"{name}.py", arguments, writing)
    os.close(writing)
    with os.fdopen(reading) as file:
        printed = file.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, printed
    return printed


def run_program(path: Path, arguments: Sequence[str], output: int) -> None:
    """Run a file as Python would, print to a file descriptor, and end this process."""
    code = 1
    try:
        os.dup2(output, 1)
        sys.stdout, sys.argv = os.fdopen(1, "w"), [str(path), *arguments]
        runpy.run_path(str(path), run_name="__main__")
        code = 0
    except BaseException:
        print(traceback.format_exc())
    finally:
        sys.stdout.flush()
        os._exit(code)


def imported(name: str) -> Any:
    """An example as a module."""
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_example_is_tried_here() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {"account_for_a_run", "fused_engine_on_your_module", "shapes"}


@pytest.mark.slow
def test_accounting_keeps_the_target_and_prv_is_tighter() -> None:
    printed = dict(re.findall(r"epsilon by (RDP|PRV): ([\d.]+)", output("account_for_a_run")))
    assert 9.99 < float(printed["RDP"]) <= 10
    assert 9 < float(printed["PRV"]) < float(printed["RDP"])


@pytest.mark.slow
def test_the_plain_loop_learns_and_spends_what_it_says() -> None:
    printed = output("fused_engine_on_your_module")
    assert re.search(r"epsilon (4\.99\d\d|5\.0000) at delta", printed)
    accuracy = re.search(r"accuracy.*: ([\d.]+)%", printed)
    assert accuracy is not None and float(accuracy[1]) > 60


def test_a_step_of_the_plain_loop_is_the_definition(tmp_path: Path) -> None:
    example = imported("fused_engine_on_your_module")
    model = example.Digits()
    images, labels = (part[:200] for part in example.digits())
    _, access = reserved(tmp_path, steps=2, rate=0.3, clip=example.CLIP_NORM)
    chosen = access.sample(1, len(images))
    clipped = autograd_sum(model, images[chosen], labels[chosen], torch.Generator(), example.CLIP_NORM).double()
    unit = grid_unit(example.CLIP_NORM, len(clipped))
    noise = torch.from_numpy(access.whole_noise(1, len(clipped), unit)) * unit
    found = example.noisy_mean(FusedEngine(model, example.CLIP_NORM), access, 1, images, labels)
    torch.testing.assert_close(found, (clipped + noise) / example.BATCH, rtol=0, atol=1e-6)


def test_an_empty_batch_is_noised_as_well(tmp_path: Path) -> None:
    example = imported("fused_engine_on_your_module")
    images, labels = (part[:1] for part in example.digits())
    _, access = reserved(tmp_path, steps=1, rate=1e-9, clip=example.CLIP_NORM)
    assert len(access.sample(0, 1)) == 0
    found = example.noisy_mean(FusedEngine(example.Digits(), example.CLIP_NORM), access, 0, images, labels)
    assert float(found.std()) > 0


def test_the_simulator_shows_what_it_draws(tmp_path: Path) -> None:
    output("shapes", str(tmp_path / "shapes.png"))
    sheet = np.asarray(Image.open(tmp_path / "shapes.png"))
    assert sheet.shape == (128, 320) and len(np.unique(sheet)) > 10
