"""Imports every package that registers components, so that names in a configuration can be found."""

import lightning_modules.classifier
import lightning_modules.diffusion  # noqa: F401
