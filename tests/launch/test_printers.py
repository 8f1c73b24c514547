"""All code that prints a guarantee rounds to the safe side: each printer on random numbers, and a search for others."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounting.calibration import BudgetError, calibrate_noise_multiplier
from accounting.composition import alone, epsilon
from accounting.groups import GROUPS
from accounting.ledger import Ledger, LedgerError
from accounting.mechanisms import GaussianQuery, Mechanism, SampledGaussian
from accounting.plan import BudgetPlan, check_affordable, check_budget
from accounting.run_key import RunKey
from configs.errors import UserError
from evaluation import comparison_tables
from evaluation.comparison_statistics import Entry, summarised
from evaluation.report import render_report
from launch.commands import ledger as ledger_command
from launch.pipeline import announce
from launch.preflight.pages import budget_lines
from launch.run.guarantee import Guarantee
from launch.run.release import readable_statement
from launch.studies.comparison_files import together
from launch.training.progress_bar import Nominal
from tests.evaluation.test_report import report_data

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("accounting", "launch", "evaluation", "evolution", "semantics", "lightning_modules")
EPSILONS = st.floats(1e-6, 1e4)
DELTAS = st.floats(-12, -2).map(lambda x: 10**x)
NOISES = st.floats(0.5, 1e6)
RATES = st.floats(1e-5, 1)
NUMBER = r"[\d.]+(?:e[-+]?\d+)?"


def after(text: str, label: str) -> list[float]:
    """All numbers that follow a label."""
    return [float(found) for found in re.findall(re.escape(label) + rf" ?=? ?({NUMBER}(?<!\.))", text)]


def cells(line: str) -> list[str]:
    """The cells of a row of a table on a terminal or in Markdown."""
    return [cell.strip() for cell in re.split(r"\s{2,}|\|", line.strip().strip("|"))]


def row(text: str, name: str) -> list[str]:
    """The cells of the row that begins with a name."""
    return next(found for found in map(cells, text.splitlines()) if found[0] == name)


MECHANISM = st.builds(
    SampledGaussian,
    name=st.just("dp-sgd"),
    noise_multiplier=NOISES,
    sensitivity=st.floats(0.1, 100),
    sampling_rate=RATES,
    steps=st.integers(1, 10_000),
)


@given(mechanism=MECHANISM, spent=EPSILONS, delta=DELTAS, group=st.one_of(st.none(), EPSILONS))
def test_privacy_md(mechanism: SampledGaussian, spent: float, delta: float, group: float | None) -> None:
    text = readable_statement(
        {
            "epsilon": spent,
            "delta": delta,
            "accountant": "rdp",
            "exact": False,
            "epsilon_by_accountant": {"rdp": spent, "prv": spent},
            "groups": [{"records": records, "epsilon": group} for records in GROUPS],
            "neighbouring_relation": "",
            "records": 9,
            "mechanisms": [mechanism.to_dict()],
            "release_ids": ["0" * 64],
            "assumptions": [],
            "ledger_head": "0" * 64,
            "software": {},
        }
    )
    assert min(after(text, "ε")) >= spent and len(after(text, "ε")) == 3
    assert min(after(text, "δ")) >= delta and len(after(text, "δ")) == 2
    shown = row(text, "dp-sgd")
    assert float(shown[2]) <= mechanism.noise_multiplier
    assert float(shown[3]) >= mechanism.sensitivity and float(shown[4]) >= mechanism.sampling_rate
    for records in GROUPS:
        said = row(text, str(records))[1]
        assert said == "no bound" if group is None else float(said) >= group


@given(mechanism=MECHANISM, spent=EPSILONS, target=EPSILONS, delta=DELTAS, group=st.one_of(st.none(), EPSILONS))
def test_the_ledger_command(
    mechanism: SampledGaussian, spent: float, target: float, delta: float, group: float | None
) -> None:
    text = ledger_command.readable(
        {
            "epsilon": spent,
            "delta": delta,
            "accountant": "rdp",
            "target_epsilon": target,
            "insecure": False,
            "epsilon_by_accountant": {"rdp": spent, "prv": spent},
            "groups": [{"records": 2, "epsilon": group}],
            "mechanisms": [{**mechanism.to_dict(), "epsilon_alone": spent, "release_id": "0" * 64}],
            "lines": 3,
            "head": "0" * 64,
        }
    )
    shown = row(text, "dp-sgd")
    assert float(shown[1]) <= mechanism.noise_multiplier and float(shown[2]) >= mechanism.sampling_rate
    assert float(shown[4]) >= spent
    for label, value in (("\nε", spent), ("δ", delta), ("RDP", spent), ("PRV", spent), (" of", target)):
        assert after(text, label)[0] >= value, label
    said = text.splitlines()[-1].split("2 records ε = ")[1]
    assert said == "no bound" if group is None else float(said) >= group


@settings(max_examples=25)
@given(
    noise=st.floats(0.8, 50),
    rate=st.floats(1e-3, 0.9),
    steps=st.integers(1, 500),
    slack=st.floats(0, 1),
    delta=st.floats(-8, -3).map(lambda x: 10**x),
)
def test_preflight_and_the_first_line_of_a_run(
    noise: float, rate: float, steps: int, slack: float, delta: float
) -> None:
    training = SampledGaussian(name="dp-sgd", noise_multiplier=noise, sampling_rate=rate, steps=steps, sensitivity=1)
    spent = epsilon([training], delta)
    budget = BudgetPlan(n=1000, epsilon=spent + slack, delta=delta, accountant="rdp", mechanisms=(training,))
    text = "\n".join(budget_lines(budget))
    shown = row(text, "dp-sgd")
    assert float(shown[1]) <= noise and float(shown[2]) >= rate and float(shown[5]) >= alone(training, delta)
    assert after(text, "budget: ε")[0] >= budget.epsilon and after(text, "δ")[0] >= delta
    assert after(text, "RDP ε")[0] >= spent and after(text, "PRV ε")[0] >= budget.composed("prv")
    assert float(text.rpartition("left: ")[2]) <= budget.remaining

    said: list[str] = []
    console = SimpleNamespace(line=said.append, stage=lambda *_: None)
    named = SimpleNamespace(name="digits")
    config = SimpleNamespace(run=named, method="m", sensitive=named, public=named)
    context = SimpleNamespace(
        plan=budget,
        config=config,
        guarantee=Guarantee(without_noise=None, fixed_key=False),
        console=console,
        ranks=SimpleNamespace(world=1),
        tracking=SimpleNamespace(trackers=[]),
    )
    announce(context)  # type: ignore[arg-type]
    line = "\n".join(said)
    assert after(line, "planned ε")[0] >= spent and after(line, "δ")[0] >= delta
    assert after(line, "budget      ε")[0] >= budget.epsilon


@given(EPSILONS)
def test_the_progress_bar(spent: float) -> None:
    bar = Nominal(stage="finetune", total_steps=9, batch=5, epsilon=lambda _: spent, timed=False)
    assert float(bar.values(3, 1.0, None)[0].removeprefix("ε ≤ ")) >= spent


@settings(max_examples=25)
@given(noise=st.floats(0.8, 20), delta=st.floats(-8, -3).map(lambda x: 10**x), target=EPSILONS)
def test_comparisons(noise: float, delta: float, target: float) -> None:
    mechanisms: dict[str, Mechanism] = {"a": GaussianQuery(name="q", noise_multiplier=noise, sensitivity=1)}
    spent = epsilon([mechanisms["a"]], delta)
    entry = Entry(group="g", x=target, seed=0, epsilon=spent, delta=delta, scores={"CNN": 0.5}, mechanisms=mechanisms)
    text = together([entry])
    assert after(text, "given ε")[0] >= spent and after(text, "δ")[0] >= delta
    lines = summarised([entry])
    _, x, shown, *_ = comparison_tables.long(lines, "method", "ε")[1]
    assert float(x) >= target and float(shown) >= spent
    assert after(comparison_tables.wide(lines, "CNN", "method", "ε")[0][1], "ε")[0] >= target


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(mechanism=MECHANISM, spent=EPSILONS, delta=DELTAS)
def test_the_report(mechanism: SampledGaussian, spent: float, delta: float) -> None:
    budget = [{**mechanism.to_dict(), "epsilon_alone": spent, "share": 1.0}]
    page = render_report(
        replace(
            report_data(),
            epsilon=spent,
            target_epsilon=spent,
            delta=delta,
            budget=budget,
            composed={"rdp": spent},
            groups=[{"records": 7, "epsilon": spent}, {"records": 9, "epsilon": None}],
        )
    )
    assert min(*after(page, "ε"), *after(page, "target")) >= spent and min(after(page, "δ")) >= delta
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>.*?</td>", page)]
    start = cells.index("dp-sgd")
    noise, sensitivity, std, rate = (float(cell) for cell in cells[start + 2 : start + 6])
    assert noise <= mechanism.noise_multiplier and std <= mechanism.noise_multiplier * mechanism.sensitivity
    assert sensitivity >= mechanism.sensitivity and rate >= mechanism.sampling_rate
    assert float(cells[start + 7]) >= spent and float(cells[start + 9]) >= spent
    assert float(cells[cells.index("7") + 1]) >= spent and cells[cells.index("9") + 1] == "no bound"


def message(act: Callable[[], object], error: type[Exception]) -> str:
    with pytest.raises(error) as found:
        act()
    return str(found.value)


@settings(max_examples=20)
@given(noise=st.floats(0.1, 5), delta=st.floats(-8, -4).map(lambda x: 10**x), share=st.floats(0.01, 0.999))
def test_refusals_for_lack_of_budget(noise: float, delta: float, share: float) -> None:
    query = GaussianQuery(name="q", noise_multiplier=noise, sensitivity=1)
    spent = epsilon([query], delta)
    target = share * spent
    texts = [
        message(lambda: check_affordable([query], target, delta, "rdp"), BudgetError),
        message(
            lambda: calibrate_noise_multiplier(others=[query], sampling_rate=0.1, steps=5, epsilon=target, delta=delta),
            BudgetError,
        ),
    ]
    for text in texts:
        assert after(text, "costs epsilon")[0] >= spent and after(text, "delta")[0] >= delta
        assert after(text, "noise multiplier")[0] <= noise
        assert [*after(text, "above"), *after(text, "nothing of the target")][0] >= target


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.floats(0.5, 5), delta=st.floats(-8, -4).map(lambda x: 10**x))
def test_an_overspending_ledger(noise: float, delta: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    query = GaussianQuery(name="q", noise_multiplier=noise, sensitivity=1)
    target = epsilon([query], delta) * 1.01
    ledger = Ledger.open(folder / "ledger.jsonl", epsilon=target, delta=delta, n=100, accountant="rdp")
    key = RunKey.create_or_load(folder / "key", None)
    ledger.reserve(query, stage="s", fingerprint="f", run_key=key)
    text = message(lambda: ledger.reserve(query, stage="t", fingerprint="f", run_key=key), LedgerError)
    assert after(text, "bring epsilon to")[0] >= epsilon([query, query], delta)
    assert after(text, "target")[0] >= target and after(text, "delta")[0] >= delta
    assert after(text, "(epsilon")[0] >= ledger.epsilon()


@given(n=st.integers(3, 10**7), share=st.floats(0.2, 3))
def test_words_about_delta(n: int, share: float) -> None:
    delta = share / n
    refused = delta >= 1 / n
    text = message(lambda: check_budget(1.0, delta, n), UserError) if refused else check_budget(1.0, delta, n)[0]
    assert after(text, "delta")[0] >= delta
    if refused:
        assert after(text, "1/n")[0] <= 1 / n and after(text, "set it below")[0] <= 1 / (10 * n)
    else:
        assert after(text, "1/(10 n)")[0] <= 1 / (10 * n)


GUARANTEE = re.compile(r"epsilon|delta\b|noise_multiplier|sampling_rate|remaining|\bspent\b|composed\(|sigma\b")
EXACT = {("launch/commands/cells.py", ":.12g")}  # the name of a run's folder


def rounding(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Line, expression and format of everything that is rounded or formatted with a number of digits."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
            yield node.lineno, ast.unparse(node.value), ":" + ast.unparse(node.format_spec)[2:-1]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
            "round",
            "format",
            "ceil",
            "floor",
        ):
            yield node.lineno, " ".join(map(ast.unparse, node.args)), ast.unparse(node.func)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant):
            yield node.lineno, ast.unparse(node.right), "%"


def test_nothing_else_rounds_what_a_guarantee_is_made_of() -> None:
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            for line, expression, how in rounding(ast.parse(path.read_text())):
                nominal_batch = "sampling_rate" in expression and "plan.n" in expression
                if GUARANTEE.search(expression) and (name, how) not in EXACT and not nominal_batch:
                    found.append(f"{name}:{line}: {expression}{how}")
    assert found == [], "print these through accounting/statements.py"


def test_templates_print_a_guarantee_through_its_filters() -> None:
    for path in sorted((ROOT / "evaluation").glob("*.j2")):
        for shown in re.findall(r"\{\{(.*?)\}\}", path.read_text()):
            if GUARANTEE.search(shown.partition("|")[0]) or "sensitivity" in shown.partition("|")[0]:
                used = shown.rpartition("|")[2].strip()
                assert used in ("epsilon", "target", "delta", "noise", "rate", "sensitivity"), f"{path.name}: {shown}"


def test_the_search_finds_what_it_looks_for() -> None:
    text = 'a = f"{plan.delta:.3g} {x}"; round(noise_multiplier, 2); "%.2f" % epsilon; "{:.2f}".format(spent)'
    found = [expression for _, expression, _ in rounding(ast.parse(text)) if GUARANTEE.search(expression)]
    assert sorted(found) == ["epsilon", "noise_multiplier 2", "plan.delta", "spent"]
