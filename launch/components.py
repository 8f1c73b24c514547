"""Imports every package that registers components, so that names in a configuration can be found."""

import datamodules.sources  # noqa: F401
import evaluation.classifiers  # noqa: F401
import evolution.apis  # noqa: F401
import launch.tracking  # noqa: F401
import lightning_modules.dp_sgd  # noqa: F401
