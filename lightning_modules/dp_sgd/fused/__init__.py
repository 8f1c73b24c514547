"""The fused engine: per-record gradients taken inside the backward pass, layer by layer."""
