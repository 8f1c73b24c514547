import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from accounting.access import PrivateAccess
from accounting.composition import epsilon, prv_epsilon
from accounting.ledger import Ledger, LedgerError
from accounting.ledger_file import Chain
from accounting.mechanisms import GaussianQuery, SampledGaussian
from accounting.run_key import RunKey
from tests.power_cut import Disk

TERMS = {"epsilon": 10.0, "delta": 1e-5, "n": 50_000, "accountant": "rdp"}
QUERY = GaussianQuery(name="semantic query", noise_multiplier=20, sensitivity=math.sqrt(5))
TRAINING = SampledGaussian(name="dp-sgd", noise_multiplier=3.0, sampling_rate=0.2, steps=100, sensitivity=1)
FIXED = RunKey(bytes(range(32)), insecure=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "ledger.jsonl"


@pytest.fixture
def key(tmp_path: Path) -> RunKey:
    return RunKey.create_or_load(tmp_path / "key")


def _query(ledger: Ledger, key: RunKey, fingerprint: str = "f"):
    return ledger.reserve(QUERY, stage="query", fingerprint=fingerprint, run_key=key)


def _train(ledger: Ledger, key: RunKey):
    return ledger.reserve(TRAINING, stage="finetune", fingerprint="f", run_key=key)


def test_its_owner_alone_may_read_it(path: Path) -> None:
    """Its times depend on the batches that were drawn."""
    Ledger.open(path, **TERMS)
    assert path.stat().st_mode & 0o077 == 0


def test_a_release_id_is_of_the_last_beginning_and_stays_with_the_answer(path: Path, key: RunKey) -> None:
    ledger = Ledger.open(path, **TERMS)
    _query(ledger, key)
    (first,) = ledger.release_ids()
    assert first == ledger.entries[-1]["hash"]
    _query(ledger, key)  # begun again: another answer
    (second,) = ledger.release_ids()
    assert second == ledger.entries[-1]["hash"] != first
    other = Ledger.open(path.with_name("other.jsonl"), **TERMS)
    other.inherit(QUERY, source=second)
    _train(other, key)
    assert other.release_ids() == [second, other.entries[-1]["hash"]]


def test_charges_are_whole_and_on_the_disk_before_access(path: Path, key: RunKey) -> None:
    ledger = Ledger.open(path, **TERMS)
    assert ledger.epsilon() == 0
    _query(ledger, key)
    assert Ledger.read(path).mechanisms() == [QUERY]
    access = _train(ledger, key)
    whole = ledger.epsilon()
    assert whole == epsilon([QUERY, TRAINING], 1e-5)
    access.progress(3)
    again = Ledger.open(path, **TERMS)
    assert again.epsilon() == whole and again.mechanisms() == [QUERY, TRAINING]
    assert again.epsilon("prv") == prv_epsilon([QUERY, TRAINING], 1e-5)
    assert again.published("dp-sgd") == 3 and again.published("semantic query") == 0
    kinds = ["open", "reserve", "start", "reserve", "start", "progress"]
    assert [entry["kind"] for entry in again.entries] == kinds


def test_nothing_is_granted_before_its_charge_would_survive_a_power_cut(
    path: Path, key: RunKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, begin, granted = Disk(monkeypatch), PrivateAccess.__init__, []

    def watched(access: PrivateAccess, *arguments: object, **named: object) -> None:
        kinds = [json.loads(line)["kind"] for line in (disk.left(path) or b"").splitlines()]
        granted.append(kinds[-2:] if disk.holds(path) else [])
        begin(access, *arguments, **named)

    monkeypatch.setattr(PrivateAccess, "__init__", watched)
    _query(Ledger.open(path, **TERMS), key)
    ledger = Ledger.open(path, **TERMS)
    _query(ledger, key)
    _train(ledger, key).progress(1)
    assert disk.holds(path)
    ledger.inherit(QUERY, source="elsewhere")
    assert disk.holds(path) and b'"elsewhere"' in disk.left(path)
    assert granted == [["reserve", "start"], ["start", "start"], ["reserve", "start"]]


def test_starting_again_charges_once_and_never_repeats_noise(path: Path, key: RunKey) -> None:
    first = _train(Ledger.open(path, **TERMS), key)
    second = _train(Ledger.open(path, **TERMS), key)
    third = _train(Ledger.open(path, **TERMS), key)
    assert (first.generation, second.generation, third.generation) == (1, 2, 3)
    assert Ledger.read(path).mechanisms() == [TRAINING]
    drawn = [access.whole_noise(0, 1000, 1e-9) for access in (first, second, third)]
    assert np.abs(np.corrcoef(drawn)[np.triu_indices(3, 1)]).max() < 0.2
    assert not np.array_equal(first.sample(0, 1000), second.sample(0, 1000))


def test_progress_survives_a_new_generation(path: Path, key: RunKey) -> None:
    _train(Ledger.open(path, **TERMS), key).progress(12)
    assert _train(Ledger.open(path, **TERMS), key).published() == 12


@pytest.mark.parametrize(
    "changed",
    [
        {"fingerprint": "g"},
        {"stage": "second query"},
        {"mechanism": GaussianQuery(name="semantic query", noise_multiplier=21, sensitivity=math.sqrt(5))},
    ],
)
def test_anything_else_is_a_new_charge(path: Path, key: RunKey, changed: dict) -> None:
    ledger = Ledger.open(path, **TERMS)
    _query(ledger, key).progress(1)
    before = ledger.epsilon()
    wanted = {"mechanism": QUERY, "stage": "query", "fingerprint": "f", **changed}
    access = ledger.reserve(wanted.pop("mechanism"), **wanted, run_key=key)
    assert access.generation == 1 and access.published() == 0
    assert len(ledger.mechanisms()) == 2 and ledger.epsilon() > before * 1.3


def test_overspending_is_refused_and_leaves_no_trace(path: Path, key: RunKey) -> None:
    ledger = Ledger.open(path, **{**TERMS, "epsilon": 5.0})
    _train(ledger, key)
    before = path.read_bytes()
    loud = GaussianQuery(name="loud query", noise_multiplier=0.5, sensitivity=1)
    with pytest.raises(LedgerError, match=r"loud query would bring epsilon .* target 5 .*Charged already: dp-sgd"):
        ledger.reserve(loud, stage="query", fingerprint="f", run_key=key)
    with pytest.raises(LedgerError, match="loud query"):
        ledger.inherit(loud, source="elsewhere")
    assert path.read_bytes() == before and ledger.mechanisms() == [TRAINING]


def _spend(ledger: Ledger, mechanism: GaussianQuery | SampledGaussian, how: str, key: RunKey) -> None:
    if how == "reserve":
        ledger.reserve(mechanism, stage=mechanism.name, fingerprint="f", run_key=key)
    else:
        ledger.inherit(mechanism, source=mechanism.name)


@pytest.mark.parametrize("accountant", ["rdp", "prv"])
@pytest.mark.parametrize("hows", list(itertools.product(["reserve", "inherit"], repeat=3)), ids="-".join)
def test_charges_that_are_affordable_without_each_other_are_refused_together(
    path: Path, key: RunKey, hows: tuple[str, ...], accountant: str
) -> None:
    """For every way of charging each of them, every order and every process."""
    queries = [GaussianQuery(name=name, noise_multiplier=2, sensitivity=1) for name in ("query", "another query")]
    all_of_them = [TRAINING, *queries]
    delta = TERMS["delta"]
    pairs = max(epsilon(pair, delta, accountant) for pair in itertools.combinations(all_of_them, 2))
    target = (pairs + epsilon(all_of_them, delta, accountant)) / 2
    assert pairs < 0.95 * target
    for number, order in enumerate(itertools.permutations(all_of_them)):
        place = path.with_name(f"{number}.jsonl")
        terms = {**TERMS, "epsilon": target, "accountant": accountant}
        for mechanism, how in zip(order[:2], hows[:2], strict=True):
            _spend(Ledger.open(place, **terms), mechanism, how, key)
        with pytest.raises(LedgerError, match=order[2].name):
            _spend(Ledger.open(place, **terms), order[2], hows[2], key)
        assert Ledger.read(place).mechanisms() == list(order[:2])


def test_the_ledgers_own_accountant_decides(path: Path, key: RunKey) -> None:
    by_prv, by_rdp = prv_epsilon([TRAINING], 1e-5), epsilon([TRAINING], 1e-5)
    between = (by_prv + by_rdp) / 2
    _train(Ledger.open(path, **{**TERMS, "epsilon": between, "accountant": "prv"}), key)
    with pytest.raises(LedgerError, match="rdp"):
        _train(Ledger.open(path.with_name("other"), **{**TERMS, "epsilon": between}), key)


def test_a_target_met_exactly_is_allowed(path: Path, key: RunKey) -> None:
    _train(Ledger.open(path, **{**TERMS, "epsilon": epsilon([TRAINING], 1e-5)}), key)


@pytest.mark.parametrize("accountant", ["rdp", "prv"])
def test_a_target_missed_by_a_hair_is_refused(path: Path, key: RunKey, accountant: str) -> None:
    target = epsilon([TRAINING], 1e-5, accountant) * (1 - 1e-6)
    with pytest.raises(LedgerError, match="above the target"):
        _train(Ledger.open(path, **{**TERMS, "epsilon": target, "accountant": accountant}), key)


def test_a_cached_query_carries_its_charge(path: Path, key: RunKey) -> None:
    ledger = Ledger.open(path, **TERMS)
    ledger.inherit(QUERY, source="run a")
    ledger.inherit(QUERY, source="run a")
    assert ledger.mechanisms() == [QUERY]
    ledger.inherit(QUERY, source="run b")
    assert Ledger.open(path, **TERMS).mechanisms() == [QUERY, QUERY]


def test_an_insecure_key_keeps_one_generation_and_repeats_itself(tmp_path: Path) -> None:
    drawn = []
    for name in ("a", "a", "b"):
        ledger = Ledger.open(tmp_path / name, **TERMS, insecure=True)
        access = _train(ledger, FIXED)
        assert access.generation == 0 and access.insecure
        drawn.append((access.whole_noise(5, 50, 1e-9).tolist(), access.sample(5, 50).tolist(), access.loss_bytes(5, 8)))
    assert drawn[0] == drawn[1] == drawn[2]


def test_secure_and_insecure_do_not_mix(path: Path, key: RunKey) -> None:
    with pytest.raises(LedgerError, match="insecure"):
        _train(Ledger.open(path, **TERMS), FIXED)
    with pytest.raises(LedgerError, match="insecure"):
        Ledger.open(path, **TERMS, insecure=True)
    with pytest.raises(LedgerError, match="insecure"):
        _train(Ledger.open(path.with_name("other"), **TERMS, insecure=True), key)


def test_a_new_ledger_beside_an_old_key_draws_new_noise(tmp_path: Path, key: RunKey) -> None:
    first = _train(Ledger.open(tmp_path / "a", **TERMS), key)
    second = _train(Ledger.open(tmp_path / "b", **TERMS), key)
    assert not np.array_equal(first.whole_noise(0, 10, 1e-9), second.whole_noise(0, 10, 1e-9))


def test_a_ledger_restored_from_a_copy_draws_new_noise(path: Path, key: RunKey) -> None:
    """The count of starts repeats, but the noise must not."""
    Ledger.open(path, **TERMS)
    copy = path.read_bytes()
    first = _train(Ledger.open(path, **TERMS), key)
    path.write_bytes(copy)
    second = _train(Ledger.open(path, **TERMS), key)
    assert first.generation == second.generation
    assert not np.array_equal(first.whole_noise(0, 10, 1e-9), second.whole_noise(0, 10, 1e-9))
    assert not np.array_equal(first.sample(0, 10_000), second.sample(0, 10_000))


@pytest.mark.parametrize("change", [{"epsilon": 9.0}, {"delta": 1e-6}, {"n": 49_999}, {"accountant": "prv"}])
def test_the_terms_of_a_run_cannot_change(path: Path, change: dict) -> None:
    Ledger.open(path, **TERMS)
    with pytest.raises(LedgerError, match=next(iter(change))):
        Ledger.open(path, **{**TERMS, **change})


def test_a_shortened_ledger_is_known_by_a_checkpoints_head(path: Path, key: RunKey) -> None:
    ledger = Ledger.open(path, **TERMS)
    _query(ledger, key)
    access = _train(ledger, key)
    access.progress(10)
    head = access.ledger_head
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(1, len(lines)):
        path.write_bytes(b"".join(lines[:kept]))
        shortened = Ledger.open(path, **TERMS)
        assert not shortened.contains(head)
        with pytest.raises(LedgerError, match="shortened"):
            shortened.require(head)
    path.write_bytes(b"".join(lines))
    longer = Ledger.open(path, **TERMS)
    longer.note("the run key was destroyed")
    longer.require(head)


def test_a_torn_reserve_is_charged_anew(path: Path, key: RunKey) -> None:
    ledger = Ledger.open(path, **TERMS)
    _query(ledger, key)
    size = path.stat().st_size
    _train(ledger, key)
    for cut in (size + 30, size + 2):
        with open(path, "r+b") as file:
            file.truncate(cut)
        with pytest.warns(UserWarning, match="torn"):
            again = Ledger.open(path, **TERMS)
        assert again.mechanisms() == [QUERY]
        _train(again, key)
        assert again.mechanisms() == [QUERY, TRAINING]


@pytest.mark.parametrize("content", [b"", b'{"half'])
def test_a_ledger_that_never_began_begins(path: Path, content: bytes, recwarn: pytest.WarningsRecorder) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert [e["kind"] for e in Ledger.open(path, **TERMS).entries] == ["open"]


def test_reading_changes_nothing(path: Path, key: RunKey) -> None:
    _train(Ledger.open(path, **TERMS), key)
    before = path.read_bytes()
    looked_at = Ledger.read(path)
    assert looked_at.terms == {**TERMS, "insecure": False}
    for act in (
        lambda: _train(looked_at, key),
        lambda: looked_at.note("x"),
    ):
        with pytest.raises(LedgerError, match="reading only"):
            act()
    assert path.read_bytes() == before
    path.write_bytes(b"")
    with pytest.raises(LedgerError, match="empty"):
        Ledger.read(path)


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "refund", "charge": 1},
        {"kind": "reserve", "mechanism": {"kind": "laplace"}, "stage": "s", "fingerprint": "f"},
        {"kind": "reserve", "mechanism": QUERY.to_dict(), "stage": "s"},
        {"kind": "progress", "charge": 7, "step": 1},
        {"kind": "start", "charge": 0, "generation": 1, "salt": "s"},
        {"kind": "start", "charge": -1, "generation": 1, "salt": "s"},
        {"kind": "start", "charge": 1, "generation": 1},
        {"kind": "open"},
    ],
)
def test_lines_that_mean_nothing_are_refused_by_number(path: Path, line: dict) -> None:
    Ledger.open(path, **TERMS)
    chain = Chain.read(path, repair=True)
    chain.append(**line)
    with pytest.raises(LedgerError, match="line 2"):
        Ledger.open(path, **TERMS)


def test_a_published_ledger_holds_public_constants_alone(path: Path, key: RunKey) -> None:
    _train(Ledger.open(path, **TERMS), key).progress(4)
    allowed = {"index", "time", "nonce", "kind", "previous", "hash", "format", "salt", "epsilon", "delta", "n"}
    allowed |= {"accountant", "insecure", "stage", "fingerprint", "mechanism", "charge", "generation", "name", "step"}
    for line in path.read_text().splitlines():
        assert set(json.loads(line)) <= allowed


def _join(path: Path, start: str, key: RunKey, mechanism: SampledGaussian = TRAINING, fingerprint: str = "f"):
    return Ledger.read(path).join(start, mechanism, stage="finetune", fingerprint=fingerprint, run_key=key)


def test_other_ranks_join_a_charge_with_the_same_randomness_and_write_nothing(path: Path, key: RunKey) -> None:
    _train(Ledger.open(path, **TERMS), key)  # an earlier start, which had other randomness
    access = _train(Ledger.open(path, **TERMS), key)
    before = path.read_bytes()
    joined = _join(path, access.ledger_head, key)
    for step in (0, 7, 99):
        assert np.array_equal(access.whole_noise(step, 100, 1e-9), joined.whole_noise(step, 100, 1e-9))
        assert np.array_equal(access.sample(step, 1000), joined.sample(step, 1000))
        assert access.loss_bytes(step, 8) == joined.loss_bytes(step, 8) != joined.loss_bytes(step, 8, rank=1)
    assert joined.mechanism == TRAINING and joined.published() == 0
    with pytest.raises(LedgerError, match="for reading only"):
        joined.progress(1)
    assert path.read_bytes() == before


def test_nobody_joins_a_charge_that_is_another_or_has_gone_on(path: Path, key: RunKey) -> None:
    ledger = Ledger.open(path, **TERMS)
    earlier = _train(ledger, key).ledger_head
    access = _train(ledger, key)
    start = access.ledger_head
    other = SampledGaussian(name="dp-sgd", noise_multiplier=2.0, sampling_rate=0.2, steps=100, sensitivity=1)
    with pytest.raises(LedgerError, match="same configuration"):
        _join(path, start, key, mechanism=other)
    with pytest.raises(LedgerError, match="same configuration"):
        _join(path, start, key, fingerprint="g")
    with pytest.raises(LedgerError, match="insecure"):
        _join(path, start, FIXED)
    for wrong in (earlier, "0" * 64):
        with pytest.raises(LedgerError, match="same run folder"):
            _join(path, wrong, key)
    access.progress(1)
    with pytest.raises(LedgerError, match="lines were added since"):
        _join(path, start, key)
    with pytest.raises(LedgerError, match="lines were added since"):  # the line of a step is not a start either
        _join(path, ledger.head, key)
