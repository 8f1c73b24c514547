"""YAML presets, the core schema of a run, and what every folder needs to take part in it."""
