"""Which networks may be trained with DP-SGD."""

from __future__ import annotations

from opacus.validators import ModuleValidator
from torch import nn

from configs.errors import UserError


def check_network(network: nn.Module) -> None:
    """Refuse a network in which records could meet, or whose per-record gradients cannot be had.

    Opacus' validators are asked about every layer, not only about those with trainable parameters as Opacus does: a
    BatchNorm mixes records with or without parameters. Raises UserError that names the layer. Touches no data; the
    network may live on the meta device.
    """
    for name, layer in network.named_modules():
        if _refused_by_opacus(layer):
            raise UserError(
                f"generator.network: the layer '{name}' ({type(layer).__name__}) cannot be trained with DP-SGD, "
                "because it mixes records, keeps statistics of them, or hides their gradients. Choose one without "
                "it: GroupNorm or LayerNorm in place of BatchNorm, Opacus' DP layers in place of recurrent ones."
            )
        trained = any(parameter.requires_grad for parameter in layer.parameters(recurse=False))
        if trained and any(True for _ in layer.buffers()):
            raise UserError(
                f"generator.network: the layer '{name}' ({type(layer).__name__}) holds trainable parameters and "
                "buffers. A buffer could carry sensitive data past the noise: keep it in a layer without parameters."
            )


def _refused_by_opacus(layer: nn.Module) -> bool:
    """Whether Opacus' validator for this kind of layer, or for the nearest kind it derives from, objects."""
    for kind in type(layer).__mro__:
        if kind in ModuleValidator.VALIDATORS:
            return bool(ModuleValidator.VALIDATORS[kind](layer))
    return False
