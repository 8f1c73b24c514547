"""What a stage of a run is, and which stages a run may have in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.errors import UserError
from configs.schema import Experiment
from launch.run.guarantee import NOT_PRIVATE

if TYPE_CHECKING:
    from launch.run.context import Context

OUTPUTS = "outputs/"


@dataclass(frozen=True)
class Stage:
    """One stage of a run."""

    name: str
    role: str
    """What it does for the others, such as "select". Its folder has this name; a run has at most one stage per role."""
    work: Callable[[Context], str]
    """Does the work and returns one line for the console, which contains nothing sensitive."""
    needs: tuple[str, ...]
    """Roles whose artefacts it reads; they must come before it."""
    keys: tuple[str, ...]
    """Sections of the configuration that its result depends on."""
    reads_sensitive: bool
    """Whether it touches the sensitive images."""
    charged: bool
    """Whether it spends privacy budget."""
    shared: bool = False
    """Whether all processes of a job work on it together. Otherwise the others wait for the first one. In both cases
    the first one writes the files."""
    makes: tuple[str, ...] = ()
    """Files that it makes, in the run's folder (`outputs/`: in the folder of the run's outputs). If one is missing, the
    stage is not done."""
    uses: tuple[str, ...] = ()
    """Roles whose artefacts it reads if the run has them."""

    @property
    def private(self) -> bool:
        """Whether its results from sensitive images are private or stay in `internal/`.

        A run with a stage that is not private has no guarantee.
        """
        return self.name not in NOT_PRIVATE


STAGES: dict[str, Stage] = {}


def stage(
    *,
    role: str | None = None,
    needs: tuple[str, ...] = (),
    uses: tuple[str, ...] = (),
    keys: tuple[str, ...] = (),
    makes: tuple[str, ...] = (),
    reads_sensitive: bool = False,
    charged: bool = False,
    shared: bool = False,
) -> Callable[[Callable[[Context], str]], Callable[[Context], str]]:
    """Register a function as a stage of that name. The parameters are fields of `Stage`.

    The function returns one line for the console, which contains nothing sensitive.

    Args:
        role: default: the function's name.
    """

    def register(work: Callable[[Context], str]) -> Callable[[Context], str]:
        name = work.__name__
        STAGES[name] = Stage(name, role or name, work, needs, keys, reads_sensitive, charged, shared, makes, uses)
        return work

    return register


def order(config: Experiment) -> list[Stage]:
    """The stages of a run in order.

    Raises:
        UserError: if a stage is unknown or has a role twice, an input is missing, or the stages do not go together.
    """
    if not config.stages:
        raise UserError(f"stages: there is nothing to do. Choose some of: {', '.join(STAGES)}.")
    chosen: list[Stage] = []
    for name in config.stages:
        if name not in STAGES:
            raise UserError(f"stages: there is no stage '{name}' (there are: {', '.join(STAGES)}).")
        roles = {done.role: done.name for done in chosen}
        other = roles.get(STAGES[name].role)
        if other is not None:
            twice = "is named twice" if other == name else f"does what '{other}' does; a run has one of them"
            raise UserError(f"stages: '{name}' {twice}.")
        for need in STAGES[name].needs:
            if need not in roles:
                able = " or ".join(each.name for each in STAGES.values() if each.role == need)
                raise UserError(f"stages: '{name}' needs {able} before it.")
        chosen.append(STAGES[name])
    check_guarantee(chosen)
    check_release(chosen)
    return chosen


def check_guarantee(stages: list[Stage]) -> None:
    """Check that no stage is charged in a run that is not private.

    Raises:
        UserError: if one is: it would spend budget for nothing.
    """
    open_ones = [each.name for each in stages if not each.private]
    charged = [each.name for each in stages if each.charged]
    if open_ones and charged:
        raise UserError(
            f"stages: '{open_ones[0]}' uses sensitive images without noise, so nothing of the run is private, "
            f"and '{charged[0]}' would spend budget for nothing. Remove one of them."
        )


def check_release(stages: list[Stage]) -> None:
    """Check that all budget is spent before the release, which states the total cost.

    Raises:
        UserError: if a stage spends budget after that.
    """
    made = next((place for place, each in enumerate(stages) if each.role == "synthesize"), len(stages))
    late = [each.name for each in stages[made:] if each.charged]
    if late:
        raise UserError(
            f"stages: '{late[0]}' spends budget after '{stages[made].name}' has stated the cost of the release. Put it "
            "before that stage."
        )
