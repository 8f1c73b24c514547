"""The core schema of a run: every key that is not a registered component's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Optional, Union

from configs.evolution import Evolution
from configs.fields import component, key, section
from configs.noise import LARGEST_NOISE, SMALLEST_NOISE
from configs.scoring import LargeTraining


@dataclass
class Run:
    name: str = key(
        "", "name of the run's folder; the experiment's unless given, with the method's where it is not its own"
    )
    root: str = key("runs", "folder that holds all runs")
    seed: int = key(0, "seed of everything public (never of a private step)", at_least=0, below=2**32)
    share: Optional[str] = key(
        None, "folder where runs find stages that saw no sensitive image, finished by one of them; none unless given"
    )


@dataclass
class Privacy:
    epsilon: float = key(10.0, "privacy budget of the whole run", at_least=1e-6, at_most=1e6)
    delta: Optional[float] = key(None, "failure probability; 1 / (n ln n) unless given", above=0, below=1)
    accountant: str = key("rdp", "composition the noise is calibrated with", choices=("rdp", "prv"))
    insecure_key: Optional[str] = key(
        None, "fixed key (64 hexadecimal digits) for repeatable tests; marks every output NOT PRIVATE"
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
    batch_size: int = key(256, "public images a step", at_least=2)
    learning_rate: float = key(0.01, "peak of the one-cycle cosine schedule", above=0)
    weight_decay: float = key(5e-4, "decoupled weight decay", at_least=0)
    validation_fraction: float = key(0.05, "share of the public set kept for validation", above=0, below=1)
    validate_every: int = key(100, "steps between two validations", at_least=1)
    precision: str = key("fp32", "of the network in training; bf16 is autocast", choices=("fp32", "bf16"))
    compile: bool = key(False, "compile the network with torch.compile first; needs a C++ compiler")
    micro_batch: Optional[int] = key(
        None, "images a process takes at once, gradients add up; its part of the batch unless given", at_least=1
    )


@dataclass
class Query:
    semantics: int = key(5, "k1: semantics each sensitive image votes for", at_least=1)
    noise_multiplier: Union[float, Literal["auto"]] = key(
        10.0,
        "sigma_1: noise std over the L2 sensitivity sqrt(k1); auto: the query by itself costs budget_share of epsilon",
        at_least=SMALLEST_NOISE,
        at_most=LARGEST_NOISE,
    )
    budget_share: float = key(
        0.1, "for noise_multiplier=auto: epsilon of the query alone over privacy.epsilon", above=0, below=1
    )
    per_category: bool = key(True, "one histogram a sensitive category (false: one for all, unconditional)")
    reuse: Optional[str] = key(
        None, "folder of a finished run, or release id, whose answer is taken over with its charge; none unless given"
    )


@dataclass
class Selection:
    semantics: Optional[int] = key(
        None, "k2: public categories kept per sensitive category; k1 unless given", at_least=1
    )
    names: list[str] = key(
        [],
        "pairs 'public category -> sensitive category' for the stage select_by_name and the control without private "
        "access; categories of the same name unless given",
    )


@dataclass
class Pretrain:
    steps: int = key(
        1000, "optimiser steps on the selected public images; of a GAN, those of its discriminator", at_least=1
    )
    batch_size: int = key(256, "public images a step", at_least=1)
    learning_rate: float = key(1e-3, "peak learning rate of Adam; of a GAN, its discriminator's", above=0)
    ema_decay: float = key(0.999, "decay of the exponential moving average of the weights", at_least=0, below=1)
    precision: str = key("fp32", "of the network in training; bf16 is autocast", choices=("fp32", "bf16"))
    compile: bool = key(False, "compile the network with torch.compile first; needs a C++ compiler")
    micro_batch: Optional[int] = key(
        None, "images a process takes at once, gradients add up; its part of the batch unless given", at_least=1
    )


@dataclass
class Finetune:
    steps: int = key(100, "T: DP-SGD steps, all of them charged; of a GAN, those of its discriminator", at_least=1)
    batch_size: int = key(256, "expected logical batch q n; the sampling rate is this over n", at_least=1)
    steps_without_noise: Optional[int] = key(
        None,
        "steps of ordinary training in place of DP-SGD, for non-private ceilings (default: pretrain.steps)",
        at_least=1,
    )
    learning_rate: float = key(1e-3, "learning rate of Adam; of a GAN, its discriminator's", above=0)
    clip_norm: float = key(1.0, "C: bound on the L2 norm of one record's gradient", at_least=1e-12)
    ema_decay: float = key(0.9, "decay of the exponential moving average of the weights", at_least=0, below=1)
    engine: str = key(
        "fused",
        "how per-record gradients are clipped and summed (fused: fast, Opacus' hooks for a network it does not know)",
        choices=("fused", "opacus"),
    )
    precision: str = key("fp32", "bf16: autocast; norms and sums of gradients stay in fp32", choices=("fp32", "bf16"))
    micro_batch: Union[int, Literal["auto"]] = key(
        32,
        "records whose gradients are held at once (auto: all that fit); changes memory, never the result",
        at_least=1,
    )
    memory_gib: Optional[float] = key(
        None,
        "GiB for micro_batch=auto, beside the weights; 90 % of the free GPU memory or half of the free main memory "
        "unless given",
        above=0,
    )
    snapshots: int = key(
        3,
        "how often the averaged weights are kept on the way, evenly over the steps, to score them against epsilon "
        "(together about a tenth of the demo's time, for sampling and scoring; 0: never)",
        at_least=0,
    )


@dataclass
class Synthesize:
    count: int = key(5000, "synthetic images to release", at_least=2)
    batch_size: int = key(500, "images sampled at once", at_least=1)
    precision: str = key("fp32", "of the network while sampling; bf16 is autocast", choices=("fp32", "bf16"))
    compile: bool = key(False, "compile the network with torch.compile first; needs a C++ compiler")


@dataclass
class Evaluate:
    classifiers: list[str] = key(["lr", "mlp", "cnn"], "classifiers trained on the synthetic images")
    training: LargeTraining = section(LargeTraining, "how DPImageBench's networks are trained; less of it on a CPU")
    controls: list[str] = key(
        ["before", "selected", "by_name"],
        "what is scored beside the synthetic images: samples of the model before fine-tuning, the selected public "
        "images, public categories of the same name",
    )
    holdout_fraction: float = key(0.1, "share of the synthetic images that chooses a classifier", above=0, below=1)
    inception_weights: Optional[str] = key(
        None, "pytorch-fid's Inception weights (.pth); FID and Inception Score are left out without"
    )
    download: bool = key(False, "fetch the Inception weights if no file is given")
    neighbours: int = key(3, "nearest neighbours that span the manifolds of precision and recall", at_least=1)
    tsne: bool = key(True, "draw synthetic and real images by t-SNE of the semantic classifier's features, 500 of each")
    word_vectors: Optional[str] = key(None, "GloVe vectors (.txt) for SDS; the classifier's own embeddings without")
    snapshot_count: int = key(
        500, "images drawn of each of finetune.snapshots to score it (at least two a category)", at_least=2
    )


@dataclass
class Launch:
    accelerator: str = key("auto", "where to train", choices=("auto", "cpu", "cuda"))
    threads: int = key(0, "CPU threads; 0: all cores", at_least=0)
    devices: int = key(1, "processes on this machine, one a GPU or a share of the CPU's cores each", at_least=1)
    workers: int = key(
        4, "processes that read public images on disk ahead, without FFCV; at most one a core, 0: none", at_least=0
    )
    reader: str = key(
        "auto",
        "what reads a store of public images (auto: FFCV where it is installed); never changes a batch",
        choices=("auto", "ffcv", "plain"),
    )
    checkpoint_minutes: float = key(5.0, "minutes between two checkpoints of a training stage", at_least=0)


@dataclass
class Slurm:
    nodes: int = key(1, "machines", at_least=1)
    gpus_per_node: int = key(1, "GPUs of each machine; 0 for CPUs alone", at_least=0)
    tasks_per_node: Optional[int] = key(None, "processes on each machine; one a GPU unless given", at_least=1)
    cpus_per_task: int = key(8, "CPU cores of each process", at_least=1)
    time: str = key("24:00:00", "time limit of one allocation; the run is queued again until it is done")
    grace_seconds: int = key(
        300, "seconds before the limit at which the run saves and stops", at_least=60, at_most=65535
    )
    partition: Optional[str] = key(None, "partition of the cluster; its default unless given")
    account: Optional[str] = key(None, "account that is charged; yours unless given")
    container: str = key("", "words before the command, such as 'apptainer exec --nv privimage.sif'")
    setup: list[str] = key([], "shell lines before the command, such as 'module load cuda'")
    directives: list[str] = key([], "further options of sbatch, such as --mem=64G or --constraint=a100")


@dataclass
class Wandb:
    mode: str = key(
        "offline",
        "offline: files in internal/wandb, to send with `wandb sync`; online: sent at once, needs an API key",
        choices=("offline", "online", "disabled"),
    )
    project: str = key("privimage", "the project that the run belongs to")
    entity: Optional[str] = key(None, "user or team; W&B's own default unless given")
    group: str = key("", "runs that are compared with each other; the experiment's name unless given")
    tags: list[str] = key([], "labels to find the run by")
    trusted_server: bool = key(
        False,
        "also log what is computed from sensitive images that are not public without noise (losses, gradient norms, "
        "scores): whoever can see the project may see them",
    )


@dataclass
class Experiment:
    """One run from data to report. The order of the keys is the order of the work."""

    method: str = key("privimage_d", "overlay from configs/methods")
    stages: list[str] = key(
        ["classifier", "query", "select", "pretrain", "finetune", "synthesize", "evaluate", "report"],
        "the stages of the run, in order",
    )
    run: Run = section(Run, "where the run lives")
    privacy: Privacy = section(Privacy, "the guarantee")
    image: Image = section(Image, "shape of all images")
    sensitive: Any = component("source", "digits", "the images to protect")
    public: Any = component("source", "glyphs", "the images to learn from first")
    classifier: Classifier = section(Classifier, "semantic query function: training")
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
        "where curves, samples and scores are shown as well, in internal/: wandb, tensorboard, csv; never part of the "
        "result",
    )
    wandb: Wandb = section(Wandb, "Weights & Biases; never part of the result (see docs/tracking.md)")
