"""What a noise multiplier may be, for configuration keys and mechanisms alike."""

SMALLEST_NOISE = 1e-6
LARGEST_NOISE = 1e6
"""It drowns any answer; whole numbers far beyond it leave no room for the noise."""
