"""The core schema of a run: every key that is not a registered component's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Optional, Union

import configs.components  # noqa: F401  (the catalogues, which have the defaults of components)
from configs.evolution import Evolution
from configs.fields import component, key, section
from configs.noise_limits import LARGEST_NOISE, SMALLEST_NOISE
from configs.scoring import LargeTraining


@dataclass
class Run:
    name: str = key(
        "", "name of the run's folder (default: EXPERIMENT, or EXPERIMENT-METHOD if you override the method)"
    )
    root: str = key("runs", "folder that holds all runs")
    seed: int = key(0, "seed of everything public (never of a private step)", at_least=0, below=2**32)
    share: Optional[str] = key(
        None, "folder through which runs share finished stages that saw no sensitive image (default: not shared)"
    )


@dataclass
class Privacy:
    epsilon: float = key(10.0, "privacy budget of the whole run", at_least=1e-6, at_most=1e6)
    delta: Optional[float] = key(None, "probability that the guarantee fails (default: 1 / (n ln n))", above=0, below=1)
    accountant: str = key("rdp", "accountant that calibrates the noise", choices=("rdp", "prv"))
    insecure_key: Optional[str] = key(
        None, "fixed key (64 hexadecimal digits) for reproducible tests; marks every output NOT PRIVATE"
    )


@dataclass
class Image:
    resolution: int = key(32, "height and width of every image, in pixels", at_least=4)
    channels: int = key(3, "1 for grayscale, 3 for colour", choices=(1, 3))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        return self.channels, self.resolution, self.resolution


@dataclass
class Classifier:
    network: Any = component("classifier", "resnet", "the semantic classifier's network")
    steps: int = key(1000, "optimiser steps on the public set", at_least=1)
    batch_size: int = key(256, "public images per step", at_least=2)
    learning_rate: float = key(0.01, "peak of the one-cycle cosine schedule", above=0)
    weight_decay: float = key(5e-4, "decoupled weight decay", at_least=0)
    validation_fraction: float = key(0.05, "share of the public set held out for validation", above=0, below=1)
    validate_every: int = key(100, "steps between two validations", at_least=1)
    precision: str = key("fp32", "of the network during training; bf16 uses autocast", choices=("fp32", "bf16"))
    compile: bool = key(False, "compile the network with torch.compile; needs a C++ compiler")
    micro_batch: Optional[int] = key(
        None, "images per process at once; gradients are accumulated (default: its whole part of the batch)", at_least=1
    )


@dataclass
class Query:
    semantics: int = key(5, "k1: public categories that each sensitive image votes for", at_least=1)
    noise_multiplier: Union[float, Literal["auto"]] = key(
        10.0,
        "sigma_1: noise std divided by the L2 sensitivity sqrt(k1); auto: the query by itself costs budget_share of "
        "epsilon",
        at_least=SMALLEST_NOISE,
        at_most=LARGEST_NOISE,
    )
    budget_share: float = key(
        0.1, "with noise_multiplier=auto: epsilon of the query by itself, divided by privacy.epsilon", above=0, below=1
    )
    per_category: bool = key(True, "one histogram per sensitive category (false: one for all, unconditional)")
    reuse: Optional[str] = key(
        None, "folder of a finished run, or release id, whose answer to reuse; its charge is reused with it"
    )


@dataclass
class Selection:
    semantics: Optional[int] = key(
        None, "k2: public categories selected per sensitive category (default: k1)", at_least=1
    )
    names: list[str] = key(
        [],
        "pairs 'public category -> sensitive category' for the stage select_by_name and the control without private "
        "access (default: categories with the same name)",
    )


@dataclass
class Pretrain:
    steps: int = key(1000, "optimiser steps on the selected public images; for a GAN, of its discriminator", at_least=1)
    batch_size: int = key(256, "public images per step", at_least=1)
    learning_rate: float = key(1e-3, "peak learning rate of Adam; for a GAN, of its discriminator", above=0)
    ema_decay: float = key(0.999, "decay of the exponential moving average of the weights", at_least=0, below=1)
    precision: str = key("fp32", "of the network during training; bf16 uses autocast", choices=("fp32", "bf16"))
    compile: bool = key(False, "compile the network with torch.compile; needs a C++ compiler")
    micro_batch: Optional[int] = key(
        None, "images per process at once; gradients are accumulated (default: its whole part of the batch)", at_least=1
    )


@dataclass
class Finetune:
    steps: int = key(100, "T: DP-SGD steps, all charged; for a GAN, of its discriminator", at_least=1)
    batch_size: int = key(256, "expected logical batch q n; the sampling rate is this divided by n", at_least=1)
    steps_without_noise: Optional[int] = key(
        None,
        "steps of ordinary training instead of DP-SGD, for non-private ceilings (default: pretrain.steps)",
        at_least=1,
    )
    learning_rate: float = key(1e-3, "learning rate of Adam; for a GAN, of its discriminator", above=0)
    clip_norm: float = key(1.0, "C: bound on the L2 norm of one record's gradient", at_least=1e-12)
    ema_decay: float = key(0.9, "decay of the exponential moving average of the weights", at_least=0, below=1)
    engine: str = key(
        "fused",
        "how per-record gradients are clipped and summed (fused: fast; falls back to Opacus for other layers)",
        choices=("fused", "opacus"),
    )
    precision: str = key(
        "fp32", "bf16 uses autocast; norms and sums of gradients stay in fp32", choices=("fp32", "bf16")
    )
    micro_batch: Union[int, Literal["auto"]] = key(
        32,
        "records whose gradients are in memory at once (auto: all that fit); changes memory, and rounding",
        at_least=1,
    )
    memory_gib: Optional[float] = key(
        None,
        "GiB for micro_batch=auto, in addition to the weights (default: 90 % of the free GPU memory, or half of the "
        "free main memory)",
        above=0,
    )
    snapshots: int = key(
        3,
        "how many times the averaged weights are saved during training, evenly spaced, to plot scores against epsilon "
        "(sampling and scoring them takes about a tenth of the demo's time; 0: never)",
        at_least=0,
    )


@dataclass
class Synthesize:
    count: int = key(5000, "synthetic images to release", at_least=2)
    batch_size: int = key(500, "images sampled at once", at_least=1)
    precision: str = key("fp32", "of the network during sampling; bf16 uses autocast", choices=("fp32", "bf16"))
    compile: bool = key(False, "compile the network with torch.compile; needs a C++ compiler")


@dataclass
class Evaluate:
    classifiers: list[str] = key(["lr", "mlp", "cnn"], "classifiers trained on the synthetic images")
    training: LargeTraining = section(LargeTraining, "how DPImageBench's networks are trained; reduce it on a CPU")
    controls: list[str] = key(
        ["before", "selected", "by_name"],
        "what is scored next to the synthetic images: samples of the model before fine-tuning, the selected public "
        "images, public categories with the same name",
    )
    holdout_fraction: float = key(
        0.1, "share of the synthetic images held out to select a classifier", above=0, below=1
    )
    inception_weights: Optional[str] = key(
        None, "pytorch-fid's Inception weights (.pth); without them there is no FID and no Inception Score"
    )
    download: bool = key(False, "download the Inception weights if no file is given")
    neighbours: int = key(3, "nearest neighbours that define the manifolds of precision and recall", at_least=1)
    tsne: bool = key(
        True, "plot a t-SNE of synthetic and real images by the semantic classifier's features, 500 of each"
    )
    word_vectors: Optional[str] = key(None, "GloVe vectors (.txt) for SDS (default: the classifier's own embeddings)")
    snapshot_count: int = key(
        500, "images sampled from each snapshot to score it (at least two per category)", at_least=2
    )


@dataclass
class Launch:
    accelerator: str = key("auto", "where to train", choices=("auto", "cpu", "cuda"))
    threads: int = key(0, "CPU threads; 0: all cores", at_least=0)
    devices: int = key(1, "processes on this machine, each with one GPU or a share of the CPU cores", at_least=1)
    workers: int = key(
        4, "processes that read public images ahead from disk, without FFCV; at most one per core, 0: none", at_least=0
    )
    reader: str = key(
        "auto",
        "what reads a store of public images (auto: FFCV if installed); never changes a batch",
        choices=("auto", "ffcv", "plain"),
    )
    checkpoint_minutes: float = key(5.0, "minutes between two checkpoints of a training stage", at_least=0)


@dataclass
class Slurm:
    nodes: int = key(1, "machines", at_least=1)
    gpus_per_node: int = key(1, "GPUs per machine; 0: CPUs only", at_least=0)
    tasks_per_node: Optional[int] = key(None, "processes per machine (default: one per GPU)", at_least=1)
    cpus_per_task: int = key(8, "CPU cores per process", at_least=1)
    time: str = key("24:00:00", "time limit of one allocation; the run is requeued until it is done")
    grace_seconds: int = key(
        300, "seconds before the limit at which the run saves and stops", at_least=60, at_most=65535
    )
    partition: Optional[str] = key(None, "partition (default: the cluster's)")
    account: Optional[str] = key(None, "account to charge (default: yours)")
    container: str = key("", "words before the command, such as 'apptainer exec --nv privimage.sif'")
    setup: list[str] = key([], "shell lines before the command, such as 'module load cuda'")
    directives: list[str] = key([], "further options of sbatch, such as --mem=64G or --constraint=a100")


@dataclass
class Wandb:
    mode: str = key(
        "offline",
        "offline: files in internal/wandb, for `wandb sync`; online: sent at once, needs an API key",
        choices=("offline", "online", "disabled"),
    )
    project: str = key("privimage", "the project that the run belongs to")
    entity: Optional[str] = key(None, "user or team (default: W&B's)")
    group: str = key("", "runs that are compared with each other (default: EXPERIMENT)")
    tags: list[str] = key([], "labels of the run")
    trusted_server: bool = key(
        False,
        "also log what is computed without noise from sensitive images that are not public (losses, gradient norms, "
        "scores): whoever can see the project may see it",
    )


@dataclass
class Experiment:
    """One run from data to report. The order of the keys is the order of the work."""

    method: str = key("privimage_d", "which method to run; `privimage list` shows them")
    stages: list[str] = key(
        ["classifier", "query", "select", "pretrain", "finetune", "synthesize", "evaluate", "report"],
        "the stages of the run, in order; `privimage list` shows them",
    )
    run: Run = section(Run, "where the run lives")
    privacy: Privacy = section(Privacy, "the guarantee")
    image: Image = section(Image, "shape of all images")
    sensitive: Any = component("source", "digits", "the images to protect")
    public: Any = component("source", "glyphs", "the images to learn from first")
    classifier: Classifier = section(Classifier, "the semantic classifier and its training")
    query: Query = section(Query, "semantic query (private)")
    selection: Selection = section(Selection, "selection of public categories")
    evolution: Evolution = section(Evolution, "Private Evolution (private)")
    generator: Any = component("generator", "diffusion", "the model that is released")
    pretrain: Pretrain = section(Pretrain, "pre-training on the selection (public)")
    finetune: Finetune = section(Finetune, "fine-tuning with DP-SGD (private)")
    synthesize: Synthesize = section(Synthesize, "sampling")
    evaluate: Evaluate = section(Evaluate, "scores, not covered by the guarantee")
    launch: Launch = section(Launch, "machine and process settings; never part of the result")
    slurm: Slurm = section(Slurm, "the batch job of `privimage submit`; never part of the result")
    tracking: list[str] = key(
        ["wandb"],
        "where else curves, samples and scores are shown (files in internal/): wandb, tensorboard, csv; never part of "
        "the result",
    )
    wandb: Wandb = section(Wandb, "Weights & Biases; never part of the result (see docs/tracking.md)")
