"""What may leave the machine. It depends on what a number was computed from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Origin(Enum):
    """What a number or a picture was computed from, and how."""

    PUBLIC = "public images or public constants, or only the number of a step"
    RELEASED = "differentially private and public values"
    SENSITIVE = "sensitive images, without noise"


ORIGINS = {"classifier": Origin.PUBLIC, "pretrain": Origin.RELEASED, "finetune": Origin.SENSITIVE}
"""Origin of the curves of each training stage. Pre-training sees the images that the private query chose."""


@dataclass(frozen=True)
class Guard:
    """What of a run may be shown on a server, or in files that are sent to one later."""

    public_benchmark: bool
    """Whether the sensitive images are public: by a constant of their source, or by declaration for a folder."""
    trusted_server: bool
    """Whether the user allows everything to be sent (`wandb.trusted_server`)."""
    insecure: bool
    """Whether nothing is private: the noise comes from a fixed key, or there is no noise."""

    @property
    def open(self) -> bool:
        """Whether everything may be shown immediately."""
        return self.public_benchmark or self.trusted_server

    def admits(self, origin: Origin) -> bool:
        """Whether values of this origin may be shown."""
        if origin is Origin.RELEASED:
            return self.open or not self.insecure
        return self.open or origin is Origin.PUBLIC

    @property
    def notice(self) -> str:
        """What is held back, in a sentence; '' if nothing is."""
        if self.open:
            return ""
        samples = ", samples (they are not private)" if self.insecure else ""
        return (
            f"losses, gradient norms, scores{samples} and times of the sensitive images are held back; the rest "
            "follows at the end of the run (wandb.trusted_server=true logs everything immediately)"
        )
