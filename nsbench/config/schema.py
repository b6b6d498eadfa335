"""The whole configuration of a run: one frozen model, every field with its range and its meaning."""

from functools import cache
from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny, create_model

from nsbench.config.evaluation import EvaluationConfig
from nsbench.config.method import MethodConfig, NoisyStudentConfig, method_config
from nsbench.config.names import DataSetName
from nsbench.config.section import Fraction, Images, Section
from nsbench.names import CHOSEN


class DataConfig(Section):
    """Which images, and how many of them keep their labels."""

    name: DataSetName = Field(default="cifar10", description="data set")
    labeled_fraction: float = Field(
        default=0.1, gt=0, le=1, description="share of the training images that keep their labels"
    )
    validation_fraction: float = Field(
        default=0.0, ge=0, lt=1, description="share of the labelled images that are held out of training"
    )
    split_seed: int = Field(default=0, ge=0, le=2**31 - 1, description="seed of the choice of labelled images")


class InputNoiseConfig(Section):
    """Noise on the training images: RandAugment, then crop, then flip."""

    operations: int = Field(default=2, ge=0, le=8, description="RandAugment operations per image, N; 0 switches it off")
    magnitude: int = Field(default=27, ge=0, le=30, description="RandAugment magnitude, M")
    crop_padding: int = Field(default=4, ge=0, le=8, description="zero padding in pixels around a random crop")
    flip: bool = Field(default=True, description="mirror half of the images")


class ModelNoiseConfig(Section):
    """Noise inside a student; the teacher and the baseline have none."""

    dropout: float = Field(
        default=0.5, ge=0, lt=1, description="probability of dropping a feature before the last layer"
    )
    survival: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="stochastic depth: block l of L, counted from 0, survives with probability 1 - (1 - this) * l / L, "
        "as published; so the first always does, and the last a little more often than this",
    )
    drop: Literal["batch", "image"] = Field(
        default="batch",
        description="stochastic depth drops a block for the whole batch, as published, or image by image",
    )


class StudyConfig(Section):
    """The chain of networks."""

    name: str = Field(
        default="hard",
        pattern=CHOSEN,
        description="name of the study, in lower-case letters, digits, - and _",
    )
    networks: Annotated[tuple[str, ...], Field(min_length=1, max_length=20)] = Field(
        default=("resnet20", "resnet26", "resnet32", "resnet38"),
        description="the teacher, then each student: resnetDEPTH or resnetDEPTH-wFACTOR",
    )
    seeds: tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...] = Field(
        default=(),
        max_length=100,
        description="train everything once for each of these seeds of weights and noise, on one split; empty: for seed",
    )
    baseline: str = Field(
        default="",
        description="supervised network that robustness is relative to; empty: the last network of the chain",
    )
    control: bool = Field(
        default=True,
        description="also train each student's network without pseudo-labels, with the same noise and image budget",
    )


class TransferConfig(Section):
    """Networks that start from trained weights, and how fast their parts learn."""

    weights: str = Field(
        default="", description="checkpoint folder, .safetensors or .pt file to start from; empty: random weights"
    )
    roles: Annotated[tuple[Literal["teacher", "student", "baseline", "control"], ...], Field(min_length=1)] = Field(
        default=("teacher",), description="which networks start from the weights"
    )
    train: Literal["all", "head"] = Field(
        default="all", description="weights of those networks to train: all, or the last layer only"
    )
    body_rate: float = Field(
        default=1.0, gt=0, le=1000, description="factor of their learning rate before the last layer"
    )
    head_rate: float = Field(default=1.0, gt=0, le=1000, description="factor of their learning rate in the last layer")


class OptimisationConfig(Section):
    """Optimisation of one network."""

    batch_size: int = Field(default=512, ge=2, le=65536, description="images per step")
    learning_rate: float = Field(default=0.1, gt=0, le=100, description="learning rate of stochastic gradient descent")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of stochastic gradient descent")
    nesterov: bool = Field(default=False, description="look ahead along the momentum")
    weight_decay: float = Field(default=1e-4, ge=0, le=1, description="L2 penalty on every parameter")
    schedule: Literal["steps", "cosine"] = Field(
        default="steps", description="steps: the learning rate falls at milestones; cosine: along a half wave to zero"
    )
    milestones: tuple[Fraction, ...] = Field(
        default=(0.5, 0.75), description="shares of the budget at which the schedule `steps` lowers the learning rate"
    )
    decay: float = Field(default=0.1, gt=0, le=1, description="factor of the learning rate at each milestone")
    warmup: float = Field(
        default=0.0, ge=0, lt=1, description="share of the budget over which the learning rate rises from zero"
    )
    average_decay: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay of a moving average of the weights, which is kept; 0 switches it off",
    )
    selection: Literal["last", "best-validation", "best-test"] = Field(
        default="last",
        description="weights to keep; best-test is what the published study did, and is optimistic",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="precision inside the network; auto: bfloat16 where the device multiplies in it",
    )
    execution: Literal["auto", "eager", "graph", "compiled"] = Field(
        default="auto",
        description="step by step, as one CUDA graph, or compiled; auto: eager on a CPU, compiled for long CUDA work",
    )
    micro_batch: int = Field(
        default=0, ge=0, le=65536, description="images per backward pass, to save memory; 0: the whole batch"
    )


class TrainingConfig(OptimisationConfig):
    """Optimisation; budgets are counted in images seen, whatever the size of the set."""

    teacher_images: Images = Field(default=5_000_000, description="images the teacher sees")
    student_images: Images = Field(default=15_000_000, description="images each student sees")
    baseline_images: Images = Field(default=5_000_000, description="images the baseline sees")


class Config(Section):
    """One run."""

    name: str = Field(
        default="paper",
        pattern=CHOSEN,
        description="name of the run, in lower-case letters, digits, - and _",
    )
    seed: int = Field(
        default=0, ge=0, le=2**31 - 1, description="seed of resamples and, without study.seeds, of weights and noise"
    )
    data: DataConfig = DataConfig()
    input_noise: InputNoiseConfig = InputNoiseConfig()
    model_noise: ModelNoiseConfig = ModelNoiseConfig()
    study: StudyConfig = StudyConfig()
    method: SerializeAsAny[MethodConfig] = NoisyStudentConfig()
    transfer: TransferConfig = TransferConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @property
    def weight_seeds(self) -> tuple[int, ...]:
        """Seeds that everything is trained for."""
        return self.study.seeds or (self.seed,)

    @property
    def baseline_network(self) -> str:
        """Name of the network trained without self-training."""
        return self.study.baseline or self.study.networks[-1]


@cache
def config_for(kind: str) -> type[Config]:
    """The configuration of a run whose students learn by a method, with that method's own settings.

    Raises:
        UserError: there is no such method.
    """
    section = method_config(kind)
    return create_model("Config", __base__=Config, __doc__=Config.__doc__, method=(section, section()))
