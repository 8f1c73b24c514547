"""The semantic query."""

from __future__ import annotations

from tests.mutants.mutant import mutant

QUERY, BY_IMAGE = "semantics/query.py", "lightning_modules/by_image.py"
TESTS = "semantics/test_query.py::"

MUTANTS = (
    mutant(
        "the sensitivity leaves out how many bins a record votes for",
        "launch/preflight/planning.py",
        "sensitivity=math.sqrt(config.query.semantics),",
        "sensitivity=1.0,",
        "launch/preflight/test_planning.py::test_a_record_votes_for_k_bins",
    ),
    mutant(
        "another sensitivity than was paid for will do",
        QUERY,
        "if not math.isclose(mechanism.sensitivity, math.sqrt(k), rel_tol=1e-12):",
        "if False:",
        TESTS + "test_only_the_mechanism_that_was_paid_for_will_do",
    ),
    mutant(
        "another mechanism than was paid for will do",
        QUERY,
        "if not isinstance(mechanism, GaussianQuery):",
        "if False:",
        TESTS + "test_only_the_mechanism_that_was_paid_for_will_do",
    ),
    mutant(
        "bins that nobody votes for have no noise",
        QUERY,
        "return counts + access",
        "return counts + (counts > 0) * access",
        TESTS + "test_noise_has_the_std_of_the_mechanism_and_no_bin_is_spared",
    ),
    mutant(
        "every row has the same noise",
        QUERY,
        "access.whole_noise(step=0, count=counts.size).reshape(counts.shape)",
        "access.whole_noise(step=0, count=counts.shape[1])",
        TESTS + "test_noise_has_the_std_of_the_mechanism_and_no_bin_is_spared",
    ),
    mutant(
        "noise is on another grid than the counts",
        QUERY,
        "access.whole_noise(step=0, count=counts.size).reshape(counts.shape)",
        "0.3 * access.whole_noise(step=0, count=counts.size, unit=0.3).reshape(counts.shape)",
        TESTS + "test_result_is_integers_by_category",
    ),
    mutant(
        "a bin that is named twice counts twice",
        QUERY,
        "found.scatter_(1, torch.where(known, bins, semantics), 1)",
        "found.scatter_add_(1, torch.where(known, bins, semantics), torch.ones_like(bins))",
        TESTS + "test_a_faulty_query_function_cannot_raise_the_sensitivity",
    ),
    mutant(
        "bins that do not exist count as others",
        QUERY,
        "torch.where(known, bins, semantics)",
        "bins % semantics",
        TESTS + "test_a_faulty_query_function_cannot_raise_the_sensitivity",
    ),
    mutant(
        "categories may depend on the place in a batch",
        QUERY,
        "answers = [check_places(self._ask, tried, subject=subject, instead=instead)]",
        "answers = [by_image(self._ask, tried)]",
        TESTS + "test_answers_that_depend_on_other_images_are_refused",
    ),
    mutant(
        "scores may depend on the place in a batch",
        QUERY,
        "if isinstance(query, Scored):",
        "if False:",
        TESTS + "test_scores_that_depend_on_the_place_are_refused_though_the_categories_do_not",
    ),
    mutant(
        "the black image that fills batches up is not tried",
        BY_IMAGE,
        "tried = np.concatenate([images, np.zeros((1, *images.shape[1:]), dtype=np.uint8)])",
        "tried = images",
        "lightning_modules/test_by_image.py::test_every_image_and_the_filler_are_tried_in_every_place",
    ),
    mutant(
        "images are tried next to their like alone",
        BY_IMAGE,
        "places = (turn + ahead) % len(tried)",
        "places = (turn + 0 * ahead) % len(tried)",
        "lightning_modules/test_by_image.py::test_answers_that_depend_on_anything_else_are_refused",
    ),
    mutant(
        "processes may answer differently",
        "launch/stages/query.py",
        "    if len(set(gathered)) > 1:",
        "    if False:",
        "launch/test_places.py::test_processes_that_answer_differently_are_refused_before_the_charge",
    ),
    mutant(
        "records at the edge of a batch are counted twice",
        QUERY,
        "share(range(0, len(images), BATCH)):",
        "share(range(0, len(images), BATCH - 1)):",
        TESTS + "test_counts_are_those_of_a_direct_count",
    ),
    mutant(
        "every process counts all images",
        "launch/stages/query.py",
        "        share=ranks.share,\n",
        "        share=enumerate,\n",
        "launch/processes/test_job.py::test_a_run_on_two_processes_makes_what_one_makes",
    ),
)
