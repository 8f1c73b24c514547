"""Private Evolution: the votes, their noise, the features that are compared, and answers that exist already."""

from __future__ import annotations

from tests.mutants.mutant import mutant

HISTOGRAM, NEAREST, ROUNDS = "evolution/histogram.py", "evolution/nearest.py", "evolution/rounds.py"
NOISED = "evolution/test_histogram.py::test_every_bin_is_noised_as_it_was_paid_for"
ONE_RECORD = "evolution/test_histogram.py::test_one_record_moves_it_by_at_most_1_in_l2"

MUTANTS = (
    mutant("every round has the same noise", HISTOGRAM, "step=round", "step=0", NOISED),
    mutant(
        "every category has the same noise",
        HISTOGRAM,
        "noise = access.whole_noise(step=round, count=sum(sizes), unit=unit)",
        "noise = np.resize(access.whole_noise(step=round, count=max(sizes), unit=unit), sum(sizes))",
        NOISED,
    ),
    mutant("votes have no noise", HISTOGRAM, "[(count + part) * unit for", "[count * unit for", NOISED),
    mutant(
        "candidates that nobody votes for have no noise",
        HISTOGRAM,
        "[(count + part) * unit for",
        "[(count + part * (count > 0)) * unit for",
        NOISED,
    ),
    mutant(
        "noise is on another grid than the votes",
        HISTOGRAM,
        "unit=unit)",
        "unit=0.37 * unit) * 0.37",
        NOISED,
    ),
    mutant("each of k votes counts 1", HISTOGRAM, "unit = 1 / math.sqrt(neighbours)", "unit = 1.0", ONE_RECORD),
    mutant(
        "an image votes for more candidates than it may",
        HISTOGRAM,
        "min(neighbours, len(candidates))",
        "min(neighbours + 1, len(candidates))",
        ONE_RECORD,
    ),
    mutant(
        "images vote in every category",
        HISTOGRAM,
        "counts = [votes(each, near, neighbours) for",
        "counts = [sum(votes(other, near, neighbours) for other in features) for",
        ONE_RECORD,
    ),
    mutant(
        "votes of another sensitivity than was paid for will do",
        HISTOGRAM,
        "or mechanism.sensitivity != 1:",
        "or False:",
        "evolution/test_histogram.py::test_another_mechanism_does_not_pay_for_it",
    ),
    mutant(
        "rounding decides who is nearest",
        NEAREST,
        "sure.append(gap > 2 * error)",
        "sure.append(gap >= 0)",
        "evolution/test_nearest.py::test_a_query_does_not_hang_on_the_others",
    ),
    mutant(
        "the images that vote set the grid that they are rounded to",
        NEAREST,
        "grid = Grid.of(candidates)",
        "grid = Grid.of(queries)",
        "evolution/test_nearest.py::test_a_query_does_not_hang_on_the_others",
        "evolution/test_nearest.py::test_the_grid_is_fine_enough_and_float64_exact_on_it",
    ),
    mutant(
        "features are scaled by sensitive images",
        "launch/stages/evolution/setting.py",
        "embedding.fit(balanced_sample(context.public,",
        "embedding.fit(balanced_sample(context.sensitive.exposed(),",
        "launch/test_methods.py::test_a_private_method_is_charged_for_what_it_reads_and_releases[sim_pe]",
    ),
    mutant(
        "features are scaled by whatever is compared",
        "evolution/embedding.py",
        "        return torch.cat([self._of_part(name, images) * scale for name",
        "        self.fit(images)\n        return torch.cat([self._of_part(name, images) * scale for name",
        "launch/test_methods.py::test_a_private_method_is_charged_for_what_it_reads_and_releases[sim_pe]",
    ),
    mutant(
        "features may depend on the place in a batch",
        "evolution/embedding.py",
        "            check_places(\n"
        "                self._function(name), images[:TRIED], self.device, subject=subject, "
        'instead="other evolution.features"\n            )\n',
        "",
        "evolution/test_embedding.py::test_features_that_hang_on_the_place_in_a_batch_are_refused",
    ),
    mutant(
        "votes that are gone are asked for again",
        ROUNDS,
        "        if published > answered:",
        "        if False:",
        "evolution/test_rounds.py::test_what_cannot_go_on_is_known_before_a_charge",
    ),
    mutant(
        "votes that candidates followed from are asked for again",
        ROUNDS,
        "published = max([published, *self._populations()])",
        "published = max([published])",
        "evolution/test_rounds.py::test_what_cannot_go_on_is_known_before_a_charge",
    ),
    mutant(
        "votes need no line in the ledger",
        ROUNDS,
        '            require(str(self._read_votes(round)["ledger_head"]))',
        "            self._read_votes(round)",
        "evolution/test_rounds.py::test_what_cannot_go_on_is_known_before_a_charge",
    ),
    mutant(
        "votes for other candidates are taken for these",
        ROUNDS,
        'if str(data.get("candidates")) != digest(arrays_of(population)):',
        "if False:",
        "evolution/test_rounds.py::test_votes_belong_to_their_candidates",
    ),
)
