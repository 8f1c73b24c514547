"""What leaves a run: the release and its statement, consoles, dashboards, and who may read what remains."""

from __future__ import annotations

from tests.mutants.mutant import mutant

RELEASE, GUARD, WANDB = "launch/run/release.py", "launch/tracking/guard.py", "launch/tracking/weights_and_biases.py"
PERFORMING, DIRECTORY = "launch/run/do_or_skip.py", "launch/run/directory.py"
ON_RELEASE = "launch/run/test_release.py::"
ON_VERIFYING = "launch/run/test_verifying.py::"
ON_GUARD = "launch/tracking/test_guard.py::test_noiseless_numbers_pass_only_for_public_sets_and_trusted_servers"
ON_WANDB = "launch/tracking/test_weights_and_biases.py::"
OPEN = "launch/test_methods.py::test_a_method_without_noise_releases_nothing_and_says_so_everywhere"

MUTANTS = (
    # the statement
    mutant(
        "a release with a fixed key calls itself private",
        RELEASE,
        "ledger.mechanisms(), notice is None",
        "ledger.mechanisms(), True",
        ON_RELEASE + "test_a_statement_of_a_fixed_key_claims_no_secret",
        ON_RELEASE + "test_a_fixed_key_marks_every_output",
    ),
    mutant(
        "there is a statement before there is what it is about",
        RELEASE,
        '    notice = statement.get("notice")\n',
        '    notice = statement.get("notice")\n    atomic_json(folder / "privacy.json", statement)\n',
        ON_RELEASE + "test_the_statement_comes_last",
    ),
    mutant(
        "a data card claims a guarantee that the release does not have",
        "launch/run/card.py",
        """    if statement.get("notice"):
        return""",
        """    if False:
        return""",
        "launch/run/test_card.py::test_without_a_guarantee_nothing_is_claimed",
    ),
    mutant(
        "a claim of any ε passes",
        "launch/run/verifying.py",
        "return found <= claimed * (1 + ROUNDING) + 1e-12",
        "return True",
        ON_VERIFYING + "test_a_claim_that_is_not_right_fails",
    ),
    mutant(
        "a release without a guarantee passes",
        "launch/run/verifying.py",
        'if statement["private"] is not True or statement.get("notice"):',
        "if False:",
        ON_VERIFYING + "test_a_fixed_key_is_no_guarantee",
    ),
    mutant(
        "Python is told an ε of a run without noise",
        "privimage/planning.py",
        "epsilon=budget.composed() if guarantee.without_noise is None else None,",
        "epsilon=budget.composed(),",
        "privimage/test_package.py::test_without_noise_no_epsilon_is_claimed",
    ),
    mutant(
        "a release says when it was made",
        RELEASE,
        "    settle(folder)\n",
        "",
        ON_RELEASE + "test_equal_releases_have_equal_bytes_and_times",
    ),
    mutant(
        "a comparison adds up ledgers that were shortened",
        "launch/studies/study.py",
        "            ledger.require(head)\n",
        "            pass\n",
        "launch/studies/test_study.py::test_what_all_runs_cost_together_is_of_whole_ledgers",
    ),
    mutant(
        "a run without noise has a release",
        DIRECTORY,
        "return self.release if self.guarantee.without_noise is None else self.not_private",
        "return self.release",
        OPEN + "[nonpriv]",
    ),
    mutant(
        "what a run without a guarantee makes does not say so",
        "launch/run/context.py",
        "return None if role in self.public_roles else self.guarantee.notice",
        "return None",
        OPEN + "[nonpriv_d]",
    ),
    mutant(
        "other users may read what is internal",
        DIRECTORY,
        "folder.mkdir(mode=0o700, exist_ok=True)",
        "folder.mkdir(mode=0o755, exist_ok=True)",
        "launch/run/test_directory.py::test_what_is_not_private_is_for_nobody_else_to_read",
    ),
    # consoles
    mutant(
        "times of private stages are on the console",
        PERFORMING,
        "timed = not stage.reads_sensitive or context.sensitive_source.public_benchmark",
        "timed = True",
        "launch/run/test_stage.py::test_times_of_private_images_are_not_shown",
    ),
    mutant(
        "times of private steps are on the console",
        "launch/stages/fitting.py",
        "timed=context.sensitive_source.public_benchmark,",
        "timed=True,",
        "launch/stages/test_fitting.py::test_a_private_fit_shows_times_for_public_sets_alone",
    ),
    mutant(
        "lines of a log file come by the clock",
        "launch/training/progress_bar.py",
        "        if self.nominal.timed:\n            due",
        "        if True:\n            due",
        "launch/training/test_progress_bar.py::test_lines_of_a_private_stage_tell_nothing_of_its_steps_times",
    ),
    mutant(
        "times of rounds are on the console",
        "launch/stages/evolution/evolve.py",
        "show = context.console.progress and context.sensitive_source.public_benchmark",
        "show = context.console.progress",
        "launch/stages/evolution/test_evolve.py::test_rounds_are_timed_on_the_console_for_public_sets_alone",
    ),
    mutant(
        "an exact answer is on the console",
        "launch/run/context.py",
        "return self.guarantee.without_noise is None or self.sensitive_source.public_benchmark",
        "return True",
        "launch/run/test_guarantee.py::test_what_follows_from_an_exact_answer_is_shown_of_public_sets_alone",
    ),
    # dashboards
    mutant(
        "everything may be shown to a server",
        GUARD,
        "return self.open or origin is Origin.PUBLIC",
        "return True",
        ON_GUARD,
    ),
    mutant(
        "samples under a fixed key may be shown to a server",
        GUARD,
        "return self.open or not self.insecure",
        "return True",
        ON_GUARD,
    ),
    mutant(
        "every set is public to a server",
        "launch/run/guarantee.py",
        "public_benchmark=sensitive.public_benchmark,",
        "public_benchmark=True,",
        "launch/tracking/test_guard.py::test_it_asks_the_source_and_not_its_name",
    ),
    mutant(
        "curves of private training count as private by noise",
        GUARD,
        '"finetune": Origin.SENSITIVE',
        '"finetune": Origin.RELEASED',
        "launch/tracking/test_guard.py::test_curves_of_every_training_stage_have_an_origin",
        ON_WANDB + "test_nothing_without_noise_of_private_images_is_sent",
    ),
    mutant(
        "a server sees the moments of private steps",
        WANDB,
        "self.live = run.guard.open",
        "self.live = True",
        ON_WANDB + "test_private_images_show_no_moment_of_a_step",
    ),
    mutant(
        "a server is sent the console",
        WANDB,
        'console="auto" if guard.public_benchmark else "off"',
        'console="wrap"',
        ON_WANDB + "test_the_machine_and_the_console_are_asked_for_of_public_images_alone",
    ),
    mutant(
        "a server is sent statistics of the machine",
        WANDB,
        "x_disable_stats=not guard.public_benchmark",
        "x_disable_stats=False",
        ON_WANDB + "test_the_machine_and_the_console_are_asked_for_of_public_images_alone",
    ),
    mutant(
        "a server is sent the command line",
        WANDB,
        "x_disable_meta=True",
        "x_disable_meta=False",
        ON_WANDB + "test_the_machine_and_the_console_are_asked_for_of_public_images_alone",
    ),
)
