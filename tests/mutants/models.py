"""The models' own losses: they contain nothing of another record, and nothing of a record gets past the noise."""

from __future__ import annotations

from tests.mutants.mutant import mutant

GAN, TEACHER, DIFFUSION = (f"lightning_modules/{name}.py" for name in ("gan", "teacher", "diffusion"))
OF_GAN, OF_TEACHER, OF_DIFFUSION = (f"lightning_modules/test_{name}.py::" for name in ("gan", "teacher", "diffusion"))

MUTANTS = (
    mutant(
        "fakes are made in training mode, with the statistics of a batch",
        GAN,
        "        with evaluating(self.network):",
        "        if self.network.train():",
        OF_GAN + "test_private_losses_leave_the_generating_network_as_it_is",
        OF_GAN + "test_a_records_loss_does_not_move_with_the_others",
    ),
    mutant(
        "an image is scored against the mean of all fakes",
        GAN,
        "F.relu(1 - scores[:, 0]), F.relu",
        "F.relu(1 - scores[:, 0] + scores[:, 1].mean()), F.relu",
        OF_GAN + "test_leaving_out_a_record_takes_away_its_own_clipped_gradient_and_nothing_else",
    ),
    mutant(
        "a record's fake has the label of another",
        GAN,
        "fakes = self.generate(self.latents(len(images), generator), labels)",
        "fakes = self.generate(self.latents(len(images), generator), labels.roll(1))",
        OF_GAN + "test_leaving_out_a_record_takes_away_its_own_clipped_gradient_and_nothing_else",
    ),
    mutant(
        "the generating network is trained on records, too",
        GAN,
        "        return self.discriminator\n\n    @property\n    def released",
        "        return self\n\n    @property\n    def released",
        OF_GAN + "test_private_losses_leave_the_generating_network_as_it_is",
        OF_GAN + "test_the_trial_before_private_training_passes",
    ),
    mutant(
        "latents depend on how a batch is cut",
        GAN,
        "normal_rows(count, self.config.latent, generator)",
        "torch.randn(count, self.config.latent, generator=generator, device=generator.device)",
        OF_GAN + "test_micro_batches_draw_the_same_latents_as_a_whole_batch",
    ),
    mutant(
        "the generating network sees the labels of records",
        GAN,
        "        scores = self.discriminator(pairs, ",
        "        self.labels = labels\n        scores = self.discriminator(pairs, ",
        OF_GAN + "test_private_losses_keep_nothing_of_the_records",
    ),
    mutant(
        "the network that follows draws from a seed that the step gives",
        "lightning_modules/alternating.py",
        "alternating_gradient(alternating, random)",
        "alternating_gradient(alternating, random.manual_seed(step))",
        "lightning_modules/dp_sgd/test_private_gan.py"
        "::test_the_network_is_a_function_of_the_discriminators_weights_and_the_shared_seeds",
    ),
    mutant(
        "views of one record are taken for another's",
        TEACHER,
        "to_network(images).repeat_interleave(draws, dim=0)",
        "to_network(images).repeat(draws, 1, 1, 1)",
        OF_TEACHER + "test_views_of_a_record_are_moved_and_clipped_together",
    ),
    mutant(
        "images are centred by their batch",
        TEACHER,
        "to_network(images).repeat_interleave(draws, dim=0)",
        "(to_network(images) - to_network(images).mean()).repeat_interleave(draws, dim=0)",
        OF_TEACHER + "test_the_clipped_sum_is_that_of_autograd",
    ),
    mutant(
        "views depend on how a batch is cut",
        TEACHER,
        "normal_rows(records, 4 * draws, generator)[:, : 4 * draws].reshape(records * draws, 4)",
        "torch.randn(records * draws, 4, generator=generator, device=generator.device)",
        OF_TEACHER + "test_views_of_a_record_are_moved_and_clipped_together",
    ),
    mutant(
        "a denoising loss is the mean over the batch",
        DIFFUSION,
        "return weight * error.square().flatten(1).mean(1)",
        "return weight * error.square().mean()",
        OF_DIFFUSION + "test_a_loss_depends_on_its_own_record_alone",
    ),
    mutant(
        "labels are dropped by their place in the batch",
        DIFFUSION,
        "dropped = normals[:, 0] <",
        "dropped = normals[:, 0].flip(0) <",
        OF_DIFFUSION + "test_draws_stay_the_same_however_a_batch_is_cut",
    ),
    mutant(
        "the draws of a record depend on how its batch is cut",
        "lightning_modules/draws.py",
        "columns = math.ceil(width / BLOCK) * BLOCK",
        "columns = width",
        "lightning_modules/test_draws.py::test_rows_do_not_hang_on_how_a_batch_is_cut",
    ),
    mutant(
        "pixels are scaled by the brightest of the batch",
        "lightning_modules/pixels.py",
        "return images.float() / 127.5 - 1",
        "return images.float() / (images.max() / 2 if images.numel() else 1) - 1",
        OF_DIFFUSION + "test_a_loss_depends_on_its_own_record_alone",
        OF_TEACHER + "test_a_loss_is_the_cross_entropy_of_its_own_record",
    ),
)
