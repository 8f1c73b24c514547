"""Which networks may be trained with DP-SGD."""

from __future__ import annotations

import torch
from opacus.validators import ModuleValidator
from torch import Tensor, nn

from configs.errors import UserError
from lightning_modules.dp_sgd.engine import ClippedSum, trained_parameters
from lightning_modules.dp_sgd.grid import MARGIN
from lightning_modules.precision import exact_float32
from lightning_modules.registries import Learner

TRIALS = (1, 2, 3, 5)  # records in a batch
TOLERANCE = 3e-4  # of the clip norm, for a sum over three records in float32, which rounds by some millionths


def check_network(network: nn.Module) -> None:
    """Refuse a network that could mix records, or whose per-record gradients cannot be computed. Touches no data.

    Opacus' validators are asked about every layer, not only about those with trainable parameters as Opacus does: a
    BatchNorm mixes records with or without parameters.

    Args:
        network: may be on the meta device.

    Raises:
        UserError: with the name of the layer that is refused.
    """
    for name, layer in network.named_modules():
        if _refused_by_opacus(layer):
            raise UserError(
                f"generator.network: the layer '{name}' ({type(layer).__name__}) cannot be trained with DP-SGD, "
                "because it mixes records, keeps statistics of them, or hides their gradients. Choose one without "
                "it: GroupNorm or LayerNorm instead of BatchNorm, Opacus' DP layers instead of recurrent ones."
            )
        trained = any(parameter.requires_grad for parameter in layer.parameters(recurse=False))
        if trained and any(True for _ in layer.buffers()):
            raise UserError(
                f"generator.network: the layer '{name}' ({type(layer).__name__}) holds trainable parameters and "
                "buffers. A buffer could carry sensitive data past the noise: keep it in a layer without parameters."
            )


def check_records_apart(
    model: Learner, engine: ClippedSum, *, shape: tuple[int, ...], classes: int, device: torch.device
) -> None:
    """Refuse a network whose code mixes records, regardless of its layers: tried out on made-up images.

    Touches no sensitive data. No record's loss may move when the others change; buffers and PyTorch's own random
    numbers must stay untouched; and the engine must give what the definition gives, record by record, by ordinary
    autograd. Weights are changed at random for the trial, because layers that begin at zero hide everything.

    Args:
        model: on `device`.
        engine: the engine to check, over `model`.
        shape: (C, H, W) of an image.
        classes: number of categories.
        device: where the trial runs.

    Raises:
        UserError: if the network is refused.
    """
    network, was_training = model.trainable, model.trainable.training
    clip_norm, precision = engine.clip_norm, engine.precision
    kept = {name: value.detach().clone() for name, value in network.state_dict().items()}
    random = torch.Generator().manual_seed(0)
    try:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=random).to(parameter))
        network.train()
        engine.precision = "fp32"
        for count in TRIALS:
            images = torch.randint(0, 256, (count, *shape), generator=random, dtype=torch.uint8).to(device)
            labels = torch.randint(0, classes, (count,), generator=random).to(device)
            _check_losses(model, images, labels, classes)
        with exact_float32():  # TF32 errors are larger than the difference that reordered records may make
            _check_sum(model, engine, images[:3], labels[:3])
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise UserError(f"generator.network: its per-record gradients cannot be computed: {error}") from error
    finally:
        engine.clip_norm, engine.precision = clip_norm, precision
        network.load_state_dict(kept)
        network.train(was_training)
        network.zero_grad(set_to_none=True)


def _losses(model: Learner, images: Tensor, labels: Tensor) -> Tensor:
    """Losses [B, K] with draws that depend only on the number of records."""
    draws = torch.Generator(images.device).manual_seed(0)
    return model.record_losses(images, labels, draws).reshape(len(images), -1)


@torch.no_grad()
def _check_losses(model: Learner, images: Tensor, labels: Tensor, classes: int) -> None:
    """UserError if a record's loss depends on another record, a buffer changes or global randomness is used."""
    kept = [(name, buffer, buffer.clone()) for name, buffer in _buffers(model)]
    state = torch.get_rng_state()
    before = _losses(model, images, labels)
    if not torch.equal(state, torch.get_rng_state()):
        raise UserError(
            "generator.network: it draws from PyTorch's global random numbers (Dropout does), which do not depend on "
            "the run's key. Leave such layers out, or draw from the generator that record_losses is given."
        )
    for name, buffer, value in kept:
        if not torch.equal(buffer, value):
            raise UserError(
                f"generator.network: the buffer '{name}' changes with the images, and would carry sensitive data past "
                "the noise into the release. Keep nothing of the images between two steps."
            )
    for i in range(len(images)):
        others, other_labels = 255 - images, classes - 1 - labels
        others[i], other_labels[i] = images[i], labels[i]
        # a GPU may round differently from one call to the next
        if not torch.allclose(before[i], _losses(model, others, other_labels)[i], rtol=1e-4, equal_nan=True):
            raise UserError(
                "generator.network: a record's loss changes when another record of the batch does, so the network "
                "mixes records and cannot be trained with DP-SGD. Look for a mean, sort or normalisation over records."
            )


def _buffers(model: Learner) -> list[tuple[str, Tensor]]:
    """The buffers of the network that is trained and, if it is another, of the one that is released."""
    return [*model.trainable.named_buffers(), *model.released.named_buffers()]


def _check_sum(model: Learner, engine: ClippedSum, images: Tensor, labels: Tensor) -> None:
    """UserError if the engine's sum is not that of autograd, with a clip norm below every record's norm."""
    parameters = trained_parameters(model)
    gradients = []
    for loss in _losses(model, images, labels).mean(dim=1):
        parts = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        pieces = zip(parts, parameters, strict=True)
        gradients.append(torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in pieces]))
    norms = torch.stack([gradient.norm(dtype=torch.float64) for gradient in gradients])  # float32 is not enough
    if not bool(torch.isfinite(norms).all() and norms.min() > 0):
        return  # nothing to compare; the engine counts such records as zero
    engine.clip_norm = float(norms.min()) / 4
    to = engine.clip_norm / MARGIN
    expected = torch.stack([g * (to / n) for g, n in zip(gradients, norms, strict=True)]).sum(dim=0)
    found, _ = engine.clipped_sum(images, labels, torch.Generator(images.device).manual_seed(0))
    if (found - expected).norm() > TOLERANCE * engine.clip_norm:
        raise UserError(
            "generator.network: the per-record gradients are not those of the records. Look for code that reorders the "
            "batch between layers, or uses a layer's parameter outside that layer."
        )


def _refused_by_opacus(layer: nn.Module) -> bool:
    """Whether Opacus' validator for this kind of layer, or for its nearest base class with one, objects."""
    for kind in type(layer).__mro__:
        if kind in ModuleValidator.VALIDATORS:
            return bool(ModuleValidator.VALIDATORS[kind](layer))
    return False
