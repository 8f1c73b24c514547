"""What may leave the machine: a number is let through by what it was computed from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Origin(Enum):
    """What a number or a picture was computed from, and how."""

    PUBLIC = "public images or public constants, or it is a function of the step alone"
    RELEASED = "what is differentially private, beside what is public"
    SENSITIVE = "sensitive images, without noise"


ORIGINS = {"classifier": Origin.PUBLIC, "pretrain": Origin.RELEASED, "finetune": Origin.SENSITIVE}
"""Of the curves of each training stage. Pre-training sees the images that the private query chose."""


@dataclass(frozen=True)
class Guard:
    """Who may see what of a run on a server, or in files that are sent to one later."""

    public_benchmark: bool
    """The sensitive images are public (a constant of their source, or declared next to a folder)."""
    trusted_server: bool
    """The user lets everything through all the same."""
    insecure: bool
    """The noise comes from a fixed key, or there is none, so that nothing is private."""

    @property
    def open(self) -> bool:
        """Whether everything may be shown, as it comes."""
        return self.public_benchmark or self.trusted_server

    def admits(self, origin: Origin) -> bool:
        """Whether something of this origin may be shown."""
        if origin is Origin.RELEASED:
            return self.open or not self.insecure
        return self.open or origin is Origin.PUBLIC

    @property
    def notice(self) -> str:
        """What is held back, in a sentence; '' where nothing is."""
        if self.open:
            return ""
        samples = ", samples (they are not private)" if self.insecure else ""
        return (
            f"losses, gradient norms, scores{samples} and times of the sensitive images are held back; the rest "
            "follows at the end of the run (wandb.trusted_server=true logs everything, as it comes)"
        )
