"""The strips of example images that a record names."""

from collections.abc import Iterator

from nsbench.config.evaluation import EvaluationConfig
from nsbench.predictions.strips import shown_frames
from nsbench.results.record import SampleImage

NOISE = SampleImage(
    kind="noise",
    name="input noise",
    file="samples/noise.png",
    caption="Training images as they are (left) and under draws of this run's input noise.",
)


def benchmark_samples(config: EvaluationConfig) -> Iterator[SampleImage]:
    """What `write_benchmark_samples` writes."""
    for name in config.corruptions:
        caption = "Test images as they are (left) and at severities 1 to 5."
        yield SampleImage(kind="corruption", name=name, file=f"samples/corruption-{name}.png", caption=caption)
    for moving in config.perturbations:
        frames = ", ".join(str(frame + 1) for frame in shown_frames(moving))
        caption = f"Frames {frames} of the sequences of three test images."
        yield SampleImage(kind="perturbation", name=moving, file=f"samples/perturbation-{moving}.png", caption=caption)
