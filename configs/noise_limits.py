"""What a noise multiplier may be, for configuration keys and for mechanisms."""

SMALLEST_NOISE = 1e-6
LARGEST_NOISE = 1e6
"""More noise drowns any answer, and the whole numbers that the noise is drawn as would become too large."""
