"""Weights & Biases: one run there per run here, started when there is something to show. Its failures stop no run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from accounting.statements import epsilon_text
from configs.components.trackers import WandbConfig
from configs.errors import UserError
from configs.schema import Experiment
from launch.tracking.guard import ORIGINS, Origin
from launch.tracking.shown_config import shown_config
from launch.tracking.tracker import TRACKERS, Ending, TrackedRun, Tracker

FINISH = 60  # seconds that unsent data may delay the end of an online run; `wandb sync` can send them later
BY_EPSILON = ("scores/*", "release/*", "samples")  # charts with ε as their axis
NO_KEY = (
    "Weights & Biases has no usable API key for {host}. Run `wandb login`, or set WANDB_API_KEY; or use "
    "wandb.mode=offline and send the files later with `wandb sync`."
)


@TRACKERS.register(WandbConfig)
class WeightsAndBiases(Tracker):
    """Weights & Biases (wandb.*): offline files in internal/wandb, or a server.

    It must not stop a run: the first failure gives a warning, and this process continues without it.
    """

    def __init__(self, config: WandbConfig, run: TrackedRun) -> None:
        self.tracked = run
        self.settings = run.config.wandb
        self.live = run.guard.open  # otherwise the moments at which steps are shown would tell how long they took
        self.destination = f"{config.name} {self.settings.mode}"
        self._given_up = False
        self._online = False
        self._run: Any = None

    @staticmethod
    def wanted(config: Experiment) -> bool:
        """True, except with wandb.mode=disabled."""
        return config.wandb.mode != "disabled"

    @staticmethod
    def check(config: Experiment) -> None:
        """Raise UserError if an online run has no key for the server it would use. Contacts no server."""
        if config.wandb.mode != "online":
            return
        import wandb
        from wandb.sdk.lib import wbauth

        host = wandb.setup().settings.base_url
        try:
            found = wbauth.authenticate_session(host=host, source="privimage", prompt=False, update_session=False)
        except Exception as error:  # a malformed key
            raise UserError(f"wandb.mode=online: {_brief(error)}. {NO_KEY.format(host=host)}") from error
        if found is None:
            raise UserError(f"wandb.mode=online: {NO_KEY.format(host=host)}")

    def admits(self, origin: Origin) -> bool:
        """What the guard admits. Offline files are no different, since they may be sent later."""
        return self.tracked.guard.admits(origin)

    @property
    def run(self) -> Any:
        """The run at Weights & Biases, started or resumed when it is first needed."""
        if self._run is None:
            self._run = self._start()
        return self._run

    def _start(self) -> Any:
        if self.settings.mode == "online":
            try:
                return self._begin("online")
            except Exception as error:  # a server can fail in any way
                import wandb

                wandb.teardown()  # otherwise its service would not release the run id
                _warn(f"could not be reached ({_brief(error)}); this run continues offline, for `wandb sync`")
        return self._begin("offline")

    def _begin(self, mode: Literal["online", "offline"]) -> Any:
        import wandb  # takes a second, so it is imported only if there is something to show

        config, guard, folder = self.tracked.config, self.tracked.guard, self.tracked.internal
        os.environ.setdefault("WANDB_DATA_DIR", str((folder / "wandb").resolve()))  # instead of the user's home
        method = Path(config.method).stem
        run = wandb.init(
            mode=mode,
            dir=folder,
            id=self.tracked.state.run_id,
            resume="allow",
            reinit="create_new",
            entity=self.settings.entity,
            project=self.settings.project,
            group=self.settings.group or config.run.name,
            name=config.run.name,
            job_type=method,
            tags=[method, config.sensitive.name, *(["NOT PRIVATE"] if guard.insecure else []), *self.settings.tags],
            config={
                **shown_config(config),
                "method": method,
                "private": not guard.insecure,
                "plan": self.tracked.plan,
            },
            allow_val_change=True,
            settings=wandb.Settings(
                silent=True,
                finish_timeout=FINISH,
                # the command line may contain paths and the key; the working directory and its code are not the run's
                x_disable_meta=True,
                save_code=False,
                disable_code=True,
                disable_git=True,
                x_save_requirements=False,
                host="",
                x_disable_machine_info=not guard.public_benchmark,
                x_disable_stats=not guard.public_benchmark,
                console="auto" if guard.public_benchmark else "off",
            ),
        )
        self._online = mode == "online"
        for stage in ORIGINS:
            run.define_metric(f"{stage}/*", step_metric="trainer/global_step")
        for name in BY_EPSILON:
            run.define_metric(name, step_metric="epsilon")
        return run

    def attempt(self, act: Callable[[Any], object]) -> None:
        """Do something with the run, but nothing more after a failure."""
        if self._given_up:
            return
        try:
            act(self.run)
        except Exception as error:  # of any kind: a dashboard must not stop a training
            self._given_up = True
            _warn(f"has failed ({_brief(error)}); the run continues without it, its curves are in internal/metrics")

    def stage_logger(self, stage: str) -> WandbLogger:
        """Lightning's logger on this run, with the stage as a prefix of every name."""
        return StageOfRun(self, stage)

    def point(self, step: int, epsilon: float, values: dict[str, float], picture: Path | None) -> None:
        """Log one row with `epsilon`, which is the axis of the charts of scores and samples."""

        def act(run: Any) -> None:
            import wandb

            row: dict[str, Any] = {"epsilon": epsilon, **values}
            if picture is not None:
                caption = f"after {step} DP-SGD steps, \N{GREEK SMALL LETTER EPSILON} = {epsilon_text(epsilon)}"
                row["samples"] = wandb.Image(str(picture), caption=caption)
            run.log(row)

        self.attempt(act)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Log a table panel."""

        def act(run: Any) -> None:
            import wandb

            run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

        self.attempt(act)

    def summary(self, values: dict[str, Any]) -> None:
        """Set columns of the project's table of runs."""
        self.attempt(lambda run: run.summary.update(values))

    def close(self, ending: Ending) -> None:
        """End this process' part of the run; a stopped one is marked as preempted."""
        if self._run is None:
            return
        if ending is Ending.STOPPED:
            self.attempt(lambda run: run.mark_preempting())
        self.attempt(lambda run: run.finish(exit_code=0 if ending is Ending.FINISHED else 1))

    @property
    def notice(self) -> str:
        """The guard's notice."""
        return self.tracked.guard.notice

    @property
    def place(self) -> str:
        if self._run is None or self._given_up:
            return ""
        files = self.tracked.internal / "wandb"
        return self._run.url if self._online else f"wandb sync {files}/offline-run-*"


class StageOfRun(WandbLogger):
    """Lightning's W&B logger on a run that others share, for the metrics of one stage."""

    LOGGER_JOIN_CHAR = "/"

    def __init__(self, tracker: WeightsAndBiases, stage: str) -> None:
        super().__init__(project=tracker.settings.project, prefix=stage)
        self._tracker = tracker

    @property
    def experiment(self) -> Any:
        return self._tracker.run

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Log the values of a step, if W&B works."""
        self._tracker.attempt(lambda run: super(StageOfRun, self).log_metrics(metrics, step))


def _warn(text: str) -> None:
    warnings.warn(f"Weights & Biases {text}.", stacklevel=3)


def _brief(error: Exception) -> str:
    """The first line of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
