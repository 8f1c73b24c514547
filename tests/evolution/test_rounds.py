"""Populations and votes on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.errors import UserError
from evolution.rounds import Rounds
from tests.evolution.shapes import Flat


def test_what_was_kept_is_found_again(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, "mark")
    assert rounds.answered() == 0 and rounds.latest() is None
    population = [Flat.of(np.arange(3.0)), Flat.of(np.arange(5.0))]
    votes = [np.array([1.0, -2.0, 3.0]), np.arange(5.0)]
    for round in (0, 1):
        rounds.save_population(round, population)
        rounds.save_votes(round, votes, population, f"head {round}")
    assert rounds.answered() == 2
    number, found = rounds.latest()
    assert number == 1 and [len(samples) for samples in found] == [3, 5]
    assert np.array_equal(found[1].parameters, population[1].parameters)
    assert np.array_equal(found[0].images, population[0].images)
    kept, head = rounds.votes(1, population)
    assert head == "head 1" and all(np.array_equal(a, b) for a, b in zip(kept, votes, strict=True))
    assert len(list(tmp_path.glob("population-*"))) == 1


def test_of_another_question_or_damaged(tmp_path: Path) -> None:
    population = [Flat.of(np.zeros(2))]
    Rounds(tmp_path, "one").save_votes(0, [np.zeros(2)], population, "head")
    Rounds(tmp_path, "one").save_population(0, population)
    assert Rounds(tmp_path, "other").latest() is None
    with pytest.raises(UserError, match="has votes for other settings"):
        Rounds(tmp_path, "other").votes(0, population)
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"damaged\. Its budget is spent"):
        Rounds(tmp_path, "one").votes(0, population)
    with pytest.raises(UserError, match=r"damaged\. Remove it"):
        Rounds(tmp_path, "one").latest()


def test_what_cannot_go_on_is_known_before_a_charge(tmp_path: Path) -> None:
    population = [Flat.of(np.zeros(2))]
    rounds, known = Rounds(tmp_path, "one"), ["head 0", "head 1"]

    def require(head: str) -> None:
        if head not in known:
            raise UserError(f"the ledger has no {head}")

    rounds.check(0, require)
    for round in (0, 1):
        rounds.save_votes(round, [np.zeros(2)], population, f"head {round}")
    for published in (0, 1, 2):  # votes are on the disk a moment before the ledger says so
        rounds.check(published, require)
    with pytest.raises(UserError, match=r"3 rounds .* the votes of 2\. Its budget is spent"):
        rounds.check(3, require)
    with pytest.raises(UserError, match="has votes for other settings"):
        Rounds(tmp_path, "other").check(0, require)
    rounds.save_population(3, population)  # which follows from votes that are gone
    with pytest.raises(UserError, match=r"3 rounds .* the votes of 2\. Its budget is spent"):
        rounds.check(2, require)
    (tmp_path / "population-003.npz").unlink()
    known.remove("head 0")  # of an earlier round than the last
    with pytest.raises(UserError, match="the ledger has no head 0"):
        rounds.check(0, require)


def test_votes_belong_to_their_candidates(tmp_path: Path) -> None:
    rounds, population = Rounds(tmp_path, "mark"), [Flat.of(np.arange(3.0)), Flat.of(np.arange(4.0))]
    rounds.save_votes(0, [np.zeros(3), np.zeros(4)], population, "head")
    rounds.votes(0, population)
    for other in ([population[1], population[0]], [population[0], Flat.of(np.arange(4.0) + 1)], population[:1]):
        with pytest.raises(UserError, match="the votes for other candidates than those of round 0"):
            rounds.votes(0, other)


@pytest.mark.parametrize("seed", range(8))
def test_a_byte_that_changed_on_the_disk_is_one_message(tmp_path: Path, seed: int) -> None:
    rounds, rng = Rounds(tmp_path, "mark"), np.random.default_rng(seed)
    population = [Flat.of(rng.uniform(0, 255, 500))]
    rounds.save_population(0, population)
    (path,) = tmp_path.glob("population-*.npz")
    content = bytearray(path.read_bytes())
    content[int(rng.integers(len(content) // 4, len(content) // 2))] ^= 0xFF  # within the packed images
    path.write_bytes(content)
    with pytest.raises(UserError, match="the file is damaged"):
        rounds.latest()


def test_a_copy_under_another_name_is_let_be(tmp_path: Path) -> None:
    rounds, population = Rounds(tmp_path, "mark"), [Flat.of(np.zeros(2))]
    rounds.save_population(1, population)
    for name in ("population-001_old.npz", "population-002.npz.bak", "population-9.npz"):
        (tmp_path / name).write_bytes(b"a copy")
    number, _ = rounds.latest()
    assert number == 1


@pytest.mark.parametrize("name", ["population-000.npz", "votes-000.npz"])
def test_a_file_that_lacks_a_part_is_damaged(tmp_path: Path, name: str) -> None:
    rounds, population = Rounds(tmp_path, "mark"), [Flat.of(np.zeros(2)), Flat.of(np.zeros(2))]
    rounds.save_population(0, population)
    rounds.save_votes(0, [np.zeros(2)] * 2, population, "head")
    path = tmp_path / name
    with np.load(path) as data:
        whole = dict(data)
    for lost in set(whole) - {"candidates", "votes_0", "votes_1", "images_1"}:
        np.savez(path, **{part: value for part, value in whole.items() if part != lost})
        with pytest.raises(UserError, match="damaged"):
            rounds.latest() if name.startswith("population") else rounds.check(0, lambda head: None)
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match="damaged"):
        rounds.latest() if name.startswith("population") else rounds.check(0, lambda head: None)


def test_votes_that_are_no_numbers_are_damaged(tmp_path: Path) -> None:
    rounds, population = Rounds(tmp_path, "mark"), [Flat.of(np.zeros(2))]
    rounds.save_votes(0, [np.array([np.nan, 0])], population, "head")
    with pytest.raises(UserError, match="not all votes are numbers"):
        rounds.votes(0, population)
