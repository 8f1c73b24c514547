"""Fine-tuning of the generator on the sensitive images with DP-SGD."""

from __future__ import annotations

from accounting.plan import DP_SGD
from launch.context import Context, load_weights, save_weights
from launch.fitting import fit_private
from launch.stage import stage
from lightning_modules.dp_sgd.engine import ENGINES
from lightning_modules.dp_sgd.private_training import PrivateTraining


@stage(
    needs=("pretrain",),
    keys=("sensitive", "finetune", "generator", "privacy"),
    reads_sensitive=True,
    charged=True,
    makes=("stages/finetune/model.safetensors",),
)
def finetune(context: Context) -> str:
    """DP-SGD on the sensitive images (PrivImage Algorithm 1). SENSITIVE: charged as `dp-sgd`."""
    settings = context.config.finetune
    mechanism = context.plan.mechanism(DP_SGD)
    model = context.generator()
    load_weights(model.trainable, context.folder("pretrain") / "model.safetensors")
    access = context.ledger.reserve(
        mechanism, stage="finetune", fingerprint=context.fingerprints["finetune"], run_key=context.run_key
    )
    module = PrivateTraining(
        model,
        ENGINES[settings.engine](model, settings.clip_norm),
        access,
        expected_batch=settings.batch_size,
        micro_batch=settings.micro_batch,
        learning_rate=settings.learning_rate,
        ema_decay=settings.ema_decay,
    )
    module = fit_private(context, module, access, stage="finetune")
    save_weights(module.averaged, context.folder("finetune") / "model.safetensors")
    spent = context.ledger.epsilon()
    return f"{settings.steps} DP-SGD steps, noise multiplier {mechanism.noise_multiplier:.4f}, ε = {spent:.4f} spent"
