"""DP-SGD: per-record gradients, clipping, and the private step. Importing this registers the engines."""

from lightning_modules.dp_sgd import opacus_engine  # noqa: F401
from lightning_modules.dp_sgd.fused import engine as fused_engine  # noqa: F401
