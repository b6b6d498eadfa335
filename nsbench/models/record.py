"""The description of a model that was not trained here."""

from typing import Literal

from pydantic import Field

from nsbench.checkpoints.record import Count, Record
from nsbench.config.fields import ModelName

Kind = Literal["function", "timm", "torchvision", "torchhub", "exported", "onnx", "checkpoint", "memory"]


class ModelRecord(Record):
    """A model that nsbench did not train, as results name it: no folder of the user's machine, no clock time."""

    name: ModelName = Field(description="short name, unique within an evaluation")
    source: str = Field(description="where it came from, files without their folders, such as resnet.py:resnet20")
    kind: Kind = Field(description="what the source is")
    parameters: Count = Field(description="numbers in its parameters")
    weights_sha256: str = Field(description="SHA-256 of the file of weights; empty: none was named")
    mean: tuple[float, ...] | None = Field(description="per channel, on pixels in [0, 1]; None: inside the model")
    std: tuple[float, ...] | None = Field(description="per channel, on pixels in [0, 1]; None: inside the model")
    identity: str = Field(description="SHA-256 over weights, code and preprocessing")

    def __str__(self) -> str:
        return self.name
