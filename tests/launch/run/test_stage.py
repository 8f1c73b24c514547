"""Stages: their order, what their fingerprints depend on, and when they are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

import launch.stages  # noqa: F401  (registers the stages)
from accounting.ledger import Ledger
from configs.errors import UserError
from configs.loading import load
from configs.schema import Experiment
from launch.console import Console
from launch.preflight.checked_setup import planned
from launch.run.context import Context
from launch.run.directory import RunDirectory
from launch.run.do_or_skip import fingerprint_of, perform
from launch.run.stage import STAGES, Stage, order
from tests.launch.runs import TINY

pytestmark = pytest.mark.slow

STAGE_NAMES = ["classifier", "query", "select", "pretrain", "finetune", "synthesize", "evaluate", "report"]


def context(folder: Path, *overrides: str) -> Context:
    config = load("demo", [*TINY, *overrides])
    setup = planned(config)
    budget = setup.plan
    terms = {"epsilon": budget.epsilon, "delta": budget.delta, "n": budget.n, "accountant": budget.accountant}
    ledger = Ledger.open(folder / "ledger.jsonl", **terms)
    return Context(setup, RunDirectory(folder, setup.guarantee), ledger, Console(quiet=True))


def fingerprints(folder: Path, *overrides: str) -> dict[str, str]:
    here = context(folder, *overrides)
    for stage in order(here.config):
        here.fingerprints[stage.role] = fingerprint_of(stage, here)
    return here.fingerprints


def after(stage: str) -> list[str]:
    return STAGE_NAMES[STAGE_NAMES.index(stage) :]


# --- order


def test_the_stages_run_in_the_order_of_the_work() -> None:
    assert [stage.name for stage in order(Experiment())] == STAGE_NAMES
    roles = [role for role in dict.fromkeys(stage.role for stage in STAGES.values()) if role != "evolve"]
    assert roles == STAGE_NAMES  # evolve comes before select where it makes what is learnt from, else before synthesize


def test_a_stage_needs_those_before_it() -> None:
    with pytest.raises(UserError, match="stages: 'select' needs query or query_without_noise before it"):
        order(Experiment(stages=["classifier", "select", "query"]))
    with pytest.raises(UserError, match="stages: there is no stage 'clasifier'"):
        order(Experiment(stages=["clasifier"]))


def test_a_role_is_filled_once() -> None:
    with pytest.raises(UserError, match="'select_all' does what 'select' does"):
        order(Experiment(stages=["classifier", "query", "select", "select_all"]))
    with pytest.raises(UserError, match="stages: 'classifier' is named twice"):
        order(Experiment(stages=["classifier", "classifier"]))


def test_no_budget_is_spent_beside_a_stage_without_noise() -> None:
    with pytest.raises(
        UserError, match=r"'query_without_noise' uses sensitive images without noise.*'finetune' would spend"
    ):
        order(Experiment(stages=["classifier", "query_without_noise", "select", "pretrain", "finetune"]))


def test_no_budget_is_spent_after_the_release_has_stated_it() -> None:
    with pytest.raises(UserError, match="'query' spends budget after 'publish_evolved' has stated"):
        order(Experiment(stages=["classifier", "evolve", "publish_evolved", "query"]))


def test_stages_without_noise_say_so_in_their_names_or_are_private() -> None:
    """A stage that reads sensitive images is charged, writes scores to `internal/`, or removes the run's guarantee."""
    for stage in STAGES.values():
        if stage.reads_sensitive:
            inside = all(made.startswith("internal/") for made in stage.makes)
            assert stage.charged or inside or not stage.private, stage.name
        else:
            assert stage.private, stage.name


def test_only_stages_that_read_sensitive_images_charge_for_them() -> None:
    assert [stage.name for stage in STAGES.values() if stage.charged] == ["query", "finetune", "evolve"]
    assert all(stage.reads_sensitive for stage in STAGES.values() if stage.charged)


# --- fingerprints


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return fingerprints(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("run.seed=1", STAGE_NAMES),
        ("image.resolution=12", STAGE_NAMES),
        ("public.seed=1", STAGE_NAMES),
        ("classifier.steps=5", STAGE_NAMES),
        ("classifier.network.width=5", STAGE_NAMES),
        ("query.per_category=false", after("query")),
        ("query.noise_multiplier=6", after("query")),
        ("privacy.epsilon=9", after("query")),
        ("privacy.delta=4e-5", after("query")),
        ("privacy.insecure_key=" + "1f" * 32, after("query")),
        ("finetune.steps=5", after("query")),  # the plan of the query's epsilon is the whole run's
        ("selection.semantics=2", after("select")),
        ("pretrain.ema_decay=0.5", after("pretrain")),
        ("generator.network.base_channels=6", after("pretrain")),
        ("generator.guidance=1", after("pretrain")),
        ("finetune.learning_rate=0.5", after("finetune")),
        ("finetune.micro_batch=7", []),
        ("synthesize.count=61", after("synthesize")),
        ("evaluate.classifiers=[mlp]", after("evaluate")),
        ("run.name=other", []),
        ("launch.threads=2", []),
        ("launch.checkpoint_minutes=3", []),
    ],
)
def test_a_fingerprint_changes_with_what_its_stage_hangs_on(
    base: dict[str, str], tmp_path: Path, override: str, changed: list[str]
) -> None:
    here = fingerprints(tmp_path, override)
    assert [name for name in STAGE_NAMES if here[name] != base[name]] == changed


def test_fingerprints_of_two_stages_differ(base: dict[str, str]) -> None:
    assert len(set(base.values())) == len(STAGE_NAMES)


def test_random_categories_are_not_shared_between_other_sensitive_sets(tmp_path: Path) -> None:
    """Their number and names depend on those of the sensitive set."""
    (tmp_path / "data" / "one").mkdir(parents=True)
    (tmp_path / "data" / "two").mkdir()
    for number in range(30):
        (tmp_path / "data" / ("one", "two")[number % 2] / f"{number}.png").write_text("")
    folder = ["sensitive.name=folder", f"sensitive.root={tmp_path / 'data'}", "finetune.batch_size=5"]
    cases = {"a": [], "b": [*folder, "privacy.delta=1e-3"]}
    found = [fingerprints(tmp_path / name, "method=random_selection", *more) for name, more in cases.items()]
    assert found[0]["classifier"] == found[1]["classifier"] and found[0]["select"] != found[1]["select"]


def test_a_fingerprint_says_nothing_of_the_sensitive_images(tmp_path: Path) -> None:
    """The content of a file may change, and it need not even be an image."""
    words = [
        "sensitive.name=folder",
        f"sensitive.root={tmp_path / 'data'}",
        "finetune.batch_size=5",
        "privacy.delta=1e-3",
    ]
    found = []
    for content in ("one", "another"):
        for number in range(30):
            file = tmp_path / "data" / "ab"[number % 2] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        found.append(fingerprints(tmp_path / content, *words))
    assert found[0] == found[1]


# --- performing


class Work:
    """The work of a stage, which counts how often it is done."""

    def __init__(self, name: str, *, fails: bool = False, **settings: bool) -> None:
        self.times, self.fails = 0, fails
        flags = {"reads_sensitive": False, "charged": False, **settings}
        self.stage = Stage(name, name, self, needs=(), keys=("pretrain",), **flags)

    def __call__(self, context: Context) -> str:
        self.times += 1
        if self.fails:
            raise UserError("no")
        return "three fields ploughed"


def test_a_stage_is_done_once_until_something_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = Work("plough")
    here = context(tmp_path)
    here.console = Console()
    perform(work.stage, here)
    perform(work.stage, here)
    assert work.times == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "three fields ploughed, " in first and "three fields ploughed (done before)" in second
    perform(work.stage, context(tmp_path, "pretrain.steps=9"))
    assert work.times == 2


def test_a_stage_that_fails_is_not_done_but_has_cost(tmp_path: Path) -> None:
    work = Work("plough", fails=True)
    here = context(tmp_path)
    for _ in range(2):
        with pytest.raises(UserError):
            perform(work.stage, here)
    assert work.times == 2 and here.directory.marker("plough") is None
    assert here.directory.cost("plough")["peak_bytes"] > 0


def test_a_finished_stage_knows_the_ledger(tmp_path: Path) -> None:
    work = Work("plough")
    here = context(tmp_path)
    perform(work.stage, here)
    marker = here.directory.marker("plough")
    assert marker is not None and here.ledger.contains(marker["ledger_head"])
    assert marker["fingerprint"] == here.fingerprints["plough"] == fingerprint_of(work.stage, here)


@pytest.mark.parametrize("sensitive", [False, True])
@pytest.mark.parametrize("benchmark", [False, True])
def test_times_of_private_images_are_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sensitive: bool, benchmark: bool
) -> None:
    (tmp_path / "data" / "a").mkdir(parents=True)
    for number in range(50):
        (tmp_path / "data" / "a" / f"{number}.png").touch()
    words = ["sensitive.name=folder", f"sensitive.root={tmp_path / 'data'}", f"sensitive.public_benchmark={benchmark}"]
    here = context(tmp_path, *words, "finetune.batch_size=5", "privacy.delta=1e-3")
    here.console = Console()
    perform(Work("plough", reads_sensitive=sensitive).stage, here)
    line = capsys.readouterr().err.strip()
    assert line.endswith(" s") == (not sensitive or benchmark)
