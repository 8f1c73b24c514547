"""Whether a run is private at all, and what everything made by one that is not has to say."""

from __future__ import annotations

from configs.schema import Experiment
from launch.stage import STAGES

FIXED_KEY = "NOT PRIVATE: made with a fixed key (privacy.insecure_key), so the noise can be computed and removed."
NO_NOISE = "NOT PRIVATE: the stage '{stage}' takes what it needs from the sensitive images without any noise."


def no_guarantee(config: Experiment) -> str | None:
    """Why nothing of a run is private, in a sentence for every output; None where its ledger's ε holds."""
    stage = without_noise(config)
    if stage is not None:
        return NO_NOISE.format(stage=stage)
    return FIXED_KEY if config.privacy.insecure_key is not None else None


def without_noise(config: Experiment) -> str | None:
    """The first stage of a run that gives sensitive images away without noise; None in a run that has none."""
    import launch.stages  # noqa: F401  (registers them; itself in need of what needs this module)

    return next((name for name in config.stages if not STAGES[name].private), None)
