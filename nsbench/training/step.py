"""One training step as a function of tensors: gather, add noise, mix, learn, count."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nsbench.noise.augment import Augmenter
from nsbench.noise.dense import DenseAugmenter
from nsbench.noise.draws import Draws, InputNoise
from nsbench.training.learner import Learner
from nsbench.training.mixup import mix
from nsbench.training.objectives import Batch
from nsbench.training.stream import Inputs


@dataclass(frozen=True)
class TrainingSet:
    """Images resident on the device, and the rows of them that one network is trained on.

    Attributes:
        images: uint8 (N, 3, side * side), shared by all networks of a run.
        rows: int64 (n,) on the CPU, indices into `images`; a duplicated image appears more than once.
        targets: float32 (n, classes) on the device, each row a distribution, or zeros under distillation.
        soft: float32 (n, classes) on the device, the teacher's softened probabilities, for distillation.
        unlabeled: int64 (u,) on the CPU, indices into `images` of a second stream; None where the method has none.
    """

    images: Tensor
    rows: Tensor
    targets: Tensor
    soft: Tensor | None = None
    unlabeled: Tensor | None = None


@dataclass(frozen=True)
class Noise:
    """Input noise as the engine needs it.

    Attributes:
        noise: what is drawn.
        side: height and width of an image in pixels.
        apply: takes images, uint8 (B, 3, side * side), and draws; returns the noisy images in the same form.
    """

    noise: InputNoise
    side: int
    apply: Callable[[Tensor, Draws], Tensor]


def input_noise(noise: InputNoise, side: int, device: torch.device, *, compiled: bool = False) -> Noise:
    """Input noise in the form that is fastest on a device: grouped on a CPU, dense on CUDA. Results are equal."""
    if device.type == "cpu":
        return Noise(noise, side, Augmenter(noise, side, device))
    dense = DenseAugmenter(noise, side, device)
    if not compiled:
        return Noise(noise, side, dense)
    apply = torch.compile(dense.apply, fullgraph=True, dynamic=False)
    return Noise(noise, side, lambda images, draws: apply(images, *draws.tensors()))


class Step:
    """One training step; nothing passes between it and the host.

    Attributes:
        loss: () float32, sum of the steps' losses since `reset`.
        hits: () float32, images classified as their target says, since `reset`.
    """

    def __init__(self, learner: Learner, data: TrainingSet, noise: Noise, views: tuple[Noise, ...] = ()) -> None:
        self.learner, self.data, self.noise, self.views = learner, data, noise, views
        self.loss = torch.zeros((), device=learner.device)
        self.hits = torch.zeros((), device=learner.device)

    def __call__(self, inputs: Inputs) -> None:
        """Learn one batch."""
        loss, hits = self.learner.step(self.batch(inputs), inputs.rate, inputs.share)
        self.loss += loss
        self.hits += hits

    def batch(self, inputs: Inputs) -> Batch:
        """Noisy images, their targets, and the views of the second stream."""
        images = self._looked_at(inputs.rows, self.noise, inputs.draws)
        targets = self.data.targets.index_select(0, inputs.positions)
        soft = None if self.data.soft is None else self.data.soft.index_select(0, inputs.positions)
        mixing = (inputs.weights, inputs.partners)
        looks = zip(self.views, inputs.view_draws, strict=False)  # no draws where there is no unlabelled image
        views = tuple(self._looked_at(inputs.unlabeled, noise, draws) for noise, draws in looks)
        return Batch(mix(images, *mixing), mix(targets, *mixing), None if soft is None else mix(soft, *mixing), views)

    def _looked_at(self, rows: Tensor, noise: Noise, draws: Draws) -> Tensor:
        """Resident images under draws of noise, (B, 3, side, side) in [0, 1]."""
        return to_float(noise.apply(self.data.images.index_select(0, rows), draws), noise.side)

    def reset(self) -> None:
        """Forget loss and hits."""
        self.loss.zero_()
        self.hits.zero_()

    def tensors(self) -> dict[str, Tensor]:
        """Everything a step changes, by name."""
        return {**self.learner.tensors(), "totals.loss": self.loss, "totals.hits": self.hits}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take the state that `tensors` gave, in place."""
        self.learner.restore(tensors)
        self.loss.copy_(tensors["totals.loss"])
        self.hits.copy_(tensors["totals.hits"])


def to_float(planar: Tensor, side: int) -> Tensor:
    """uint8 (B, 3, side * side) to float32 (B, 3, side, side) in [0, 1], channels last in memory."""
    return planar.view(-1, 3, side, side).float().div_(255).contiguous(memory_format=torch.channels_last)
