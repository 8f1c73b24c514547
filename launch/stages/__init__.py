"""The stages of a run, in the order of the work. Importing this registers them."""

from launch.stages import classifier, query, select, pretrain, finetune, synthesize, evolve  # noqa: F401, I001
from launch.stages import teach, vote, evaluate, report  # noqa: F401
