"""One model to measure: where it comes from, its weights, and the preprocessing it declares."""

from pydantic import Field

from nsbench.config.section import Section


class ModelConfig(Section):
    """One model to measure."""

    source: str = Field(
        min_length=1,
        description="run folder, checkpoint folder, package.module:function, file.py:function, timm:NAME, "
        "torchvision:NAME, torchhub:REPO:NAME, FILE.pt2 (exported program) or FILE.onnx",
    )
    name: str = Field(default="", description="short name in reports and folders; empty: made from the source")
    weights: str = Field(
        default="", description="safetensors file or state dict; empty: none, or those that the source brings along"
    )
    mean: tuple[float, ...] = Field(
        default=(), description="per channel, subtracted from pixels in [0, 1]; goes with std"
    )
    std: tuple[float, ...] = Field(default=(), description="per channel, divided by after the mean is subtracted")
    inside: bool = Field(default=False, description="the model takes pixels in [0, 1] and normalises them itself")
