"""The stages of a run, in the order in which they work. Importing this registers them."""

from launch.stages import classifier, query, select, pretrain, finetune, synthesize  # noqa: F401, I001
from launch.stages.evolution import evolve, publish, teach, vote  # noqa: F401
from launch.stages import evaluate, report  # noqa: F401
