"""The description of a trained network: what it is, where it came from, what it was trained on."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from nsbench.config.fields import ChosenName, ModelName, NetworkName, Seed

Count = Annotated[int, Field(ge=0, le=10**15)]
Generation = Annotated[int, Field(ge=0, le=1000)]


DEEPEST = 100
"""Levels of a configuration in a record at most; a recipe after nineteen teachers has some forty."""


def _shallow(found: dict[str, Any]) -> dict[str, Any]:
    """The same; ValueError where it is deeper than what reads it would bear."""
    level: list[Any] = [found]
    for _ in range(DEEPEST):
        lists = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [inner for one in lists for inner in one]
    if level:
        raise ValueError(f"more than {DEEPEST} levels")
    return found


Table = Annotated[dict[str, Any], AfterValidator(_shallow)]
"""A configuration as a record has it."""


class Record(BaseModel):
    """Base of all parts: immutable, unknown fields refused, NaN refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CheckpointName(Record):
    """The labels by which a plan calls one trained network; another plan may call the same one otherwise."""

    study: ChosenName = Field(description="name of the chain, `supervised` for the baseline, `control`")
    generation: Generation = Field(description="0 is the supervised teacher")
    network: NetworkName = Field(description="for example resnet20 or resnet8-w0.5")
    seed: Seed = Field(description="seed of weights, noise and order")

    def __str__(self) -> str:
        return f"{self.study}/seed{self.seed}/gen{self.generation}-{self.network}"


class SelectionRecord(Record):
    """Pseudo-labelled images that one student was trained on, per class."""

    teacher: ModelName | Literal[""]
    confidence_threshold: float
    available: Count = Field(description="unlabelled images the teacher predicted")
    above_threshold: list[Count] = Field(
        description="per class, before balancing; published tables 4, 8, 9 add the labelled images"
    )
    kept: list[Count] = Field(description="per class, distinct pseudo-labelled images after balancing")
    duplicates: list[Count] = Field(description="per class, copies added by balancing, labelled and pseudo-labelled")
    labeled: list[Count] = Field(description="per class, labelled images")
    labels_known: bool = Field(
        default=True, description="whether the true label of every unlabelled image is known, to score pseudo-labels by"
    )
    accuracy: float | None = Field(
        description="share of kept pseudo-labels that are right, by labels training never sees; None if none was kept, "
        "or if the data set has no such labels"
    )
    class_accuracy: list[float | None] = Field(
        description="per class, share of the kept pseudo-labels of that class that are right; None likewise"
    )

    @model_validator(mode="after")
    def _is_of_one_number_of_classes(self) -> Self:
        """Raise ValueError where the lists by class differ in length."""
        lists = (self.above_threshold, self.kept, self.duplicates, self.labeled, self.class_accuracy)
        if len({len(one) for one in lists}) > 1:
            raise ValueError("lists by class of different lengths")
        return self


class HistoryPoint(Record):
    """Training progress at one moment."""

    images: Count = Field(description="images seen so far")
    learning_rate: float
    loss: float
    accuracy: float = Field(description="on noisy training images against their targets")
    validation_accuracy: float | None = Field(default=None, description="on the held-out images, where there are any")
    test_accuracy: float | None = Field(default=None, description="on the test images; only under selection best-test")


class TrainedNetwork(Record):
    """One trained network: what it is, whatever a plan calls it."""

    network: NetworkName
    seed: Seed
    recipe: str = Field(
        default="",
        pattern="^[0-9a-f]{0,64}$",
        description="hash of all that its weights follow from; empty in earlier records",
    )
    method: ChosenName = Field(description="how it learnt, such as supervised, noisy-student or distillation")
    parameters: Count
    images_seen: Count
    training_images: Count = Field(description="images in the training set, duplicates counted")
    weights_selection: Literal["last", "best-validation", "best-test"]
    averaged: bool = Field(description="whether the weights are a moving average over the steps")
    precision: Literal["float32", "bfloat16"] = Field(description="precision of training")
    micro_batch: Count = Field(description="images per backward pass where memory forced parts of a batch, else 0")
    initial_weights: str = Field(description="SHA-256 of the weights that training started from; empty: random")
    configuration: Table = Field(
        default={},
        description="its recipe and its teachers' without seeds, and the arithmetic they came to; networks that share "
        "it differ in their seed alone. Empty where a checkpoint of an earlier version does not say",
    )
    weights_sha256: str
    selection: SelectionRecord | None
    history: list[HistoryPoint]

    @property
    def test_selected(self) -> bool:
        """Whether the weights were chosen on the images that later measure them, which is optimistic."""
        return self.weights_selection == "best-test"


class CheckpointRecord(TrainedNetwork, CheckpointName):
    """A trained network under the labels of a plan."""

    role: Literal["teacher", "student", "baseline", "control"]
    parent: ModelName | None = Field(description="the teacher's labels, None for a network without one")

    def __str__(self) -> str:
        return f"{self.study}/seed{self.seed}/gen{self.generation}-{self.network}"
