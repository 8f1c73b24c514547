"""Runs: charged before reading, durable before publishing, and charged when an answer is used again."""

from __future__ import annotations

from tests.mutants.mutant import mutant

TRAINING, CHECKPOINTING = "launch/training/trainer.py", "launch/training/checkpointing.py"
QUERY, STAGE, REUSE = "launch/stages/query.py", "launch/run/stage.py", "launch/run/reused_answers.py"
EVOLVE, RENDERINGS = "launch/stages/evolution/evolve.py", "launch/stages/evolution/renderings.py"
PIPELINE, CONTEXT = "launch/pipeline.py", "launch/run/context.py"
METHODS = "launch/test_methods.py::test_a_private_method_is_charged_for_what_it_reads_and_releases"
ORDER = "launch/training/test_trainer.py::test_durable_then_ledger_then_published"
REUSED = "launch/stages/evolution/test_reused.py::"
EVOLVING = "launch/stages/evolution/test_evolve.py::"

MUTANTS = (
    # charged, then read
    mutant(
        "the query reads images before it is charged",
        QUERY,
        '    access = context.charge(mechanism, "query")\n',
        '    len(context.sensitive)\n    access = context.charge(mechanism, "query")\n',
        METHODS + "[query_only]",
    ),
    mutant(
        "Private Evolution reads images before it is charged",
        EVOLVE,
        "            setting.try_out(population)\n",
        "            setting.try_out(population)\n            sensitive_features(context, setting)\n",
        METHODS + "[sim_pe]",
    ),
    mutant(
        "fine-tuning reads images before it is charged",
        "launch/stages/finetune.py",
        '    access = context.charge(mechanism, "finetune")\n',
        '    len(context.sensitive)\n    access = context.charge(mechanism, "finetune")\n',
        METHODS + "[dpdm]",
    ),
    mutant(
        "images are made in the proportions of the sensitive ones",
        "launch/stages/evolution/publish.py",
        "    images = made_of_outcome(context, evenly(context.config.synthesize.count, len(context.class_names)))\n",
        "    found = __import__('numpy').bincount(context.sensitive.exposed().labels).cumsum()\n"
        "    counts = (context.config.synthesize.count * found / found[-1]).round().astype(int)\n"
        "    images = made_of_outcome(context, [int(n) for n in counts - [0, *counts[:-1]]])\n",
        METHODS + "[sim_pe]",
    ),
    # an answer is on the disk before the ledger says so, and is given once
    mutant(
        "the ledger has the query's answer before the disk has",
        QUERY,
        "        atomic_json(path, answer)\n        access.progress(1, digest_of(answer))\n",
        "        access.progress(1, digest_of(answer))\n        atomic_json(path, answer)\n",
        METHODS + "[query_only]",
    ),
    mutant(
        "the ledger has votes before the disk has",
        EVOLVE,
        "    rounds.save_votes(number, votes, population, access.ledger_head)\n"
        "    access.progress(number + 1, digest_of(votes, population))\n",
        "    access.progress(number + 1, digest_of(votes, population))\n"
        "    rounds.save_votes(number, votes, population, access.ledger_head)\n",
        METHODS + "[sim_pe]",
    ),
    mutant(
        "the ledger has steps before the disk has",
        CHECKPOINTING,
        '        trainer.save_checkpoint(self.folder / f"step-{self.done:08d}.ckpt")\n',
        "        for act in self.then:\n            act(self.done)\n"
        '        trainer.save_checkpoint(self.folder / f"step-{self.done:08d}.ckpt")\n',
        ORDER,
    ),
    mutant(
        "steps are published before the ledger has them",
        TRAINING,
        "then += [access.progress, *(barrier.release for barrier in barriers)]",
        "then += [*(barrier.release for barrier in barriers), access.progress]",
        ORDER,
    ),
    mutant("steps are published as they come", TRAINING, "        loggers = barriers\n", "", ORDER),
    mutant(
        "the ledger never has the steps",
        TRAINING,
        "then += [access.progress, *(barrier",
        "then += [*(barrier",
        ORDER,
    ),
    mutant(
        "a file that a power cut empties counts as written",
        "configs/files.py",
        "            os.fsync(file.fileno())\n",
        "",
        "configs/test_files.py::test_a_power_cut_leaves_the_old_content_or_the_new",
    ),
    mutant(
        "a file whose name a power cut forgets counts as written",
        "configs/files.py",
        "        os.replace(temporary, path)\n        sync_folder(path.parent)\n",
        "        os.replace(temporary, path)\n",
        "configs/test_files.py::test_a_power_cut_leaves_the_old_content_or_the_new",
        METHODS + "[dpdm]",
    ),
    mutant(
        "one step more than is durable is published",
        "launch/training/publish_barrier.py",
        "for step, send in self._held if step < done]",
        "for step, send in self._held if step <= done]",
        "launch/training/test_publish_barrier.py::test_only_durable_steps_pass_each_once_and_in_order",
    ),
    mutant(
        "what is not durable at the end is published",
        "launch/training/publish_barrier.py",
        "        self._held.clear()\n",
        "        for _, send in self._held:\n            send()\n",
        "launch/training/test_publish_barrier.py::test_what_is_not_released_is_dropped_at_the_end",
    ),
    mutant(
        "the query is asked again where its answer is gone",
        QUERY,
        "    if access.published():",
        "    if False:",
        "launch/test_pipeline_damaged.py::test_an_answered_query_is_never_asked_again",
    ),
    mutant(
        "every round asks with the number of the first",
        EVOLVE,
        "access, round=number, neighbours=neighbours)",
        "access, round=0, neighbours=neighbours)",
        EVOLVING + "test_every_round_asks_under_its_own_number",
    ),
    mutant(
        "votes may be others than the ledger knows",
        EVOLVE,
        "        context.ledger.confirm(EVOLUTION, number + 1, digest_of(votes, population))\n",
        "",
        EVOLVING + "test_what_the_ledger_knows_otherwise_is_refused[votes-001.npz]",
    ),
    mutant(
        "the last candidates may be others than the ledger knows",
        RENDERINGS,
        "    context.ledger.confirm(EVOLUTION, context.plan.mechanism(EVOLUTION).steps, outcome.digest)\n",
        "",
        REUSED + "test_candidates_that_were_changed_are_not_released",
    ),
    # a run that resumes
    mutant(
        "a ledger that lacks what a checkpoint knows will do",
        TRAINING,
        "if found is not None and require is not None:",
        "if False:",
        "launch/test_pipeline_damaged.py::test_a_ledger_shorter_than_an_unfinished_stage_knows_is_refused",
    ),
    mutant(
        "steps that were published run again",
        TRAINING,
        "    return published\n",
        "    return step\n",
        "launch/training/test_trainer.py::test_published_steps_without_a_checkpoint_are_forfeited",
    ),
    mutant(
        "the last published step runs again",
        TRAINING,
        "    if published <= step or access.insecure:\n",
        "    if published <= step + 1 or access.insecure:\n",
        "launch/training/test_trainer.py::test_not_one_published_step_runs_again",
    ),
    mutant(
        "a line that a crash cut off is never entered",
        TRAINING,
        "        catch_up(found, access)\n",
        "        pass\n",
        "launch/training/test_trainer.py::test_a_line_that_a_crash_cut_off_is_entered_before_anything_follows",
    ),
    mutant(
        "a checkpoint that was changed is loaded",
        "launch/training/checkpoint_io.py",
        "if hashlib.sha256(payload).digest() != digest:",
        "if False:",
        "launch/training/test_checkpoint_io.py::test_any_flipped_bit_or_missing_end_is_noticed",
    ),
    mutant(
        "a lost ledger is begun anew",
        PIPELINE,
        "if heads and not directory.ledger.is_file():",
        "if not (heads := []) and not directory.ledger.is_file() and False:",
        "launch/test_pipeline_damaged.py::test_a_lost_ledger_is_refused",
    ),
    mutant(
        "a ledger that lacks what finished stages know will do",
        PIPELINE,
        "        ledger.require(head)\n",
        "        pass\n",
        "launch/test_pipeline_charge.py::test_a_release_without_its_charges_is_refused",
    ),
    mutant(
        "two processes work on one run",
        PIPELINE,
        "with directory.lock() if ranks.first else nullcontext():",
        "with nullcontext():",
        "launch/test_pipeline_damaged.py::test_a_second_process_on_the_same_run_is_refused",
    ),
    mutant(
        "the key is never destroyed",
        PIPELINE,
        "                    context.forget_key()\n",
        "                    pass\n",
        METHODS + "[query_only]",
    ),
    mutant(
        "the key is destroyed when all is done",
        PIPELINE,
        "if ranks.first and charged_stages_done(context, stages):",
        "if ranks.first and stage is stages[-1] and charged_stages_done(context, stages):",
        METHODS + "[query_only]",
    ),
    mutant(
        "the key is forgotten, and its file is left",
        CONTEXT,
        "        RunKey.destroy(self.directory.key)\n",
        "",
        METHODS + "[query_only]",
    ),
    # what another run paid
    mutant(
        "a query's answer of another run is free",
        QUERY,
        "    context.take_over(answer)\n",
        "",
        REUSED + "test_an_answer_is_taken_over_with_its_charge_and_asked_for_no_more",
    ),
    mutant(
        "votes of another run are free",
        EVOLVE,
        "    context.take_over(answer)\n",
        "",
        REUSED + "test_an_answer_is_taken_over_with_its_charge_and_asked_for_no_more",
    ),
    mutant(
        "an answer is taken over while its noise can be had",
        REUSE,
        "    if directory.key.exists():",
        "    if False:",
        REUSED + "test_an_answer_of_a_run_that_still_has_its_key_is_not_taken_over",
    ),
    mutant(
        "an answer is taken over that was changed",
        REUSE,
        "if head not in self.heads or digest != self.digest:",
        "if head not in self.heads:",
        REUSED + "test_an_answer_that_was_changed_or_is_of_more_images_is_not_taken_over",
    ),
    mutant(
        "an answer under a fixed key is taken over",
        REUSE,
        'if ledger.terms["insecure"] and config.privacy.insecure_key is None:',
        "if False:",
        REUSED + "test_an_answer_under_a_fixed_key_is_not_taken_over",
    ),
    mutant(
        "an answer of other images is taken over",
        REUSE,
        'if ledger.terms["n"] != n:',
        "if False:",
        REUSED + "test_an_answer_that_was_changed_or_is_of_more_images_is_not_taken_over",
    ),
    mutant(
        "an answer to another question is taken over",
        REUSE,
        "    if differ:",
        "    if False:",
        REUSED + "test_what_cannot_be_taken_over",
    ),
    mutant(
        "candidates are taken over without the query that chose them",
        REUSE,
        "    if missing:",
        "    if False:",
        REUSED + "test_candidates_that_follow_from_a_query_are_not_taken_over_without_its_charge",
    ),
    mutant(
        "two answers to one charge have one name",
        REUSE,
        'release_id=start["hash"]',
        'release_id=charge["hash"]',
        REUSED + "test_two_answers_to_one_charge_are_two_answers",
    ),
    mutant(
        "runs share what follows from sensitive images",
        "launch/run/public_cache.py",
        "or stage.role not in context.public_roles or",
        "or",
        "launch/run/test_public_cache.py::test_nothing_that_saw_sensitive_images_is_shared",
    ),
    mutant(
        "what reads a private answer has seen public images only",
        "launch/run/do_or_skip.py",
        "return not stage.reads_sensitive and all(role in context.public_roles for role in inputs)",
        "return not stage.reads_sensitive",
        "launch/run/test_public_cache.py::test_nothing_that_saw_sensitive_images_is_shared",
    ),
    mutant(
        "budget is spent after the release has stated it",
        STAGE,
        "    check_release(chosen)\n",
        "",
        "launch/run/test_stage.py::test_no_budget_is_spent_after_the_release_has_stated_it",
    ),
    mutant(
        "budget is spent next to a stage without noise",
        STAGE,
        "    check_guarantee(chosen)\n",
        "",
        "launch/run/test_stage.py::test_no_budget_is_spent_beside_a_stage_without_noise",
    ),
    mutant(
        "public images may be the sensitive ones",
        "launch/preflight/checks.py",
        "    check_apart(config, public, sensitive)\n",
        "",
        "launch/preflight/test_shared_files.py::test_nothing_is_begun_where_files_are_shared",
    ),
    mutant(
        "public images may be sensitive test images",
        "launch/preflight/shared_files.py",
        'for test, split in ((True, "test"), (False, "training")):',
        'for test, split in ((False, "training"),):',
        "launch/preflight/test_shared_files.py::test_sensitive_test_images_count_as_well",
    ),
    mutant(
        "links to sensitive images are other files",
        "launch/preflight/shared_files.py",
        "found = os.stat(path)",
        "found = os.lstat(path)",
        "launch/preflight/test_shared_files.py::test_files_that_both_have_are_refused_by_the_public_category_alone",
    ),
    mutant(
        "votes spend the budget of a single round",
        "launch/preflight/planning.py",
        "multiplier = math.sqrt(settings.rounds / left)",
        "multiplier = math.sqrt(1 / left)",
        EVOLVING + "test_all_of_the_budget_goes_into_the_votes_and_no_more",
    ),
)
