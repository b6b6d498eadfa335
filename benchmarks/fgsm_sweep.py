"""The FGSM sweep of eleven eps: nsbench against the published study's loop and foolbox's, in turn, in one process.

Network and images are real, since the work depends on accuracy: an image that is wrong when clean is not attacked
again. A unit is an image swept at all eps. The published side is its loop restated: for every eps it goes through a
loader anew, differentiates the parameters too, and shows each image twice. It and foolbox get the same network in
PyTorch's default layout, as their users have it.
"""

import copy
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import public_resnets
import torch
from interleaved import (
    Readings,
    available_device,
    interleave,
    parser,
    positive,
    rate,
    ratios,
    report,
    spread,
    table,
    use_threads,
)
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import nll_loss
from torch.utils.data import DataLoader
from torchvision import transforms  # type: ignore[import-untyped]  # torchvision ships no types

from nsbench.attacks.fgsm import fgsm_sweep, paper_fgsm_sweep
from nsbench.data.images import ImageSet
from nsbench.data.load import load_dataset
from nsbench.devices import prepare
from nsbench.networks.classifier import Normalize

EPSILONS = tuple(step / 100 for step in range(11))
PUBLISHED_BATCH = 256
TOLERATED = 0.002
"""Share of images on which two sides may differ: a sum that is rounded otherwise turns some sign."""

Sweep = Callable[[], list[int]]
"""Goes through all images at all eps; returns how many are classified correctly at each."""


def published_sweep(network: nn.Module, normalize: nn.Module, images: ImageSet, workers: int, device: Any) -> Sweep:
    """The published analysis: one pass of its loader for each eps."""
    # Forked, as where the code was written.
    context = "fork" if workers else None
    loader: DataLoader[Any] = DataLoader(
        Pictures(images), batch_size=PUBLISHED_BATCH, num_workers=workers, multiprocessing_context=context
    )

    def correct_at(epsilon: float) -> int:
        correct = 0
        for pixels, labels in ((one.to(device), other.to(device)) for one, other in loader):
            pixels.requires_grad = True
            logits = network(normalize(pixels))
            before = logits.argmax(1)
            nll_loss(logits, labels).backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
            moved = torch.clamp(pixels + epsilon * pixels.grad.sign(), 0, 1)
            after = network(normalize(moved)).argmax(1)
            correct += int(((before == labels) & (before == after)).sum().item())
        return correct

    return lambda: [correct_at(epsilon) for epsilon in EPSILONS]


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """A picture made of an array, and a tensor of it, for every image, as torchvision's CIFAR-10 does."""

    def __init__(self, images: ImageSet) -> None:
        self.images, self.labels, self.transform = images.images, images.labels.tolist(), transforms.ToTensor()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def foolbox_sweep(network: nn.Module, images: ImageSet, device: torch.device) -> Sweep:
    """Foolbox's attack, given all eps at once, on float images in memory."""
    from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack
    from foolbox.models.pytorch import PyTorchModel

    model = PyTorchModel(network, bounds=(0, 1), device=device)
    pixels = (torch.tensor(images.images).permute(0, 3, 1, 2).float() / 255).contiguous().to(device)
    labels = torch.tensor(images.labels).to(device)

    def sweep() -> list[int]:
        right = torch.zeros(len(EPSILONS), dtype=torch.int64, device=device)
        for some, answers in zip(pixels.split(PUBLISHED_BATCH), labels.split(PUBLISHED_BATCH), strict=True):
            _, _, fooled = LinfFastGradientAttack()(model, some, answers, epsilons=list(EPSILONS))
            with torch.no_grad():
                wrong = model(some).argmax(1) != answers
            right += (~(fooled | wrong)).sum(1)
        return right.tolist()

    return sweep


def our_sweep(network: nn.Module, images: ImageSet, batch: int, device: torch.device, attack: Any) -> Sweep:
    """Ours, on bytes in memory."""
    pixels, labels = torch.tensor(images.images).to(device), torch.tensor(images.labels).to(device)

    def sweep() -> list[int]:
        right = torch.zeros(len(EPSILONS), dtype=torch.int64, device=device)
        for some, answers in zip(pixels.split(batch), labels.split(batch), strict=True):
            logits, _ = attack(network, some, answers, EPSILONS)
            right += (logits.argmax(-1) == answers).sum(1)
        return right.tolist()

    return sweep


def sweeps(options: Namespace, images: ImageSet) -> dict[str, Sweep]:
    """Every side."""
    device = options.device
    normalize, public = public_network(options)
    fast = nn.Sequential(normalize, public).eval().to(device).to(memory_format=torch.channels_last)
    plain = copy.deepcopy(public).to(memory_format=torch.contiguous_format)
    found = {
        f"published, {workers} loader workers": published_sweep(plain, normalize, images, workers, device)
        for workers in options.workers
    }
    found["foolbox"] = foolbox_sweep(nn.Sequential(normalize, plain).eval(), images, device)
    for name, attack in (("the study's loss", paper_fgsm_sweep), ("cross-entropy", fgsm_sweep)):
        found[f"ours, {name}"] = our_sweep(fast, images, options.batch, device, attack)
    return found


def public_network(options: Namespace) -> tuple[nn.Module, nn.Module]:
    """Normalisation and network of the public ResNet, once it has been seen to do what its repository says."""
    found = public_resnets.PublicResNet(options.resnets, options.network)
    found.check(load_dataset("cifar10", options.data).test)
    return Normalize(public_resnets._MEAN, public_resnets._STD), found._network


def check_equal(found: dict[str, list[int]], count: int) -> None:
    """Stop unless the sides that compute the same agree at every eps, but for images on the edge."""
    published = next(name for name in found if name.startswith("published"))
    for name, other in ((published, "ours, the study's loss"), ("foolbox", "ours, cross-entropy")):
        apart = [abs(one - two) for one, two in zip(found[name], found[other], strict=True)]
        if max(apart) > max(1, TOLERATED * count):
            sys.exit(f"{name} and {other} differ by up to {max(apart)} of {count} images: not the same attack.")
        print(f"{name} and {other}: correct at each eps {found[name]}, {found[other]}")


def counted(sweep: Sweep, count: int) -> int:
    """Run a sweep of `count` images and return how many they were."""
    sweep()
    return count


def rows(readings: Readings) -> list[list[str]]:
    """A row for each side, over each of the others' rates."""
    bases = [name for name in readings if not name.startswith("ours")]
    return [
        [
            name,
            spread(readings[name], ".1f"),
            *("" if name in bases else spread(ratios(readings, name, base), ".2f") for base in bases),
        ]
        for name in readings
    ]


def options_from(arguments: Sequence[str] | None) -> Namespace:
    """The command line."""
    made = parser(__doc__, threads=2)
    made.add_argument(
        "--resnets",
        type=public_resnets.folder,
        required=True,
        metavar="DIR",
        help="checkout of akamaster/pytorch_resnet_cifar10",
    )
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that holds CIFAR-10")
    made.add_argument("--network", choices=list(public_resnets.CORRECT), default="resnet20", help="default: resnet20")
    made.add_argument("--images", type=positive, default=512, help="first test images (default %(default)s)")
    made.add_argument("--batch", type=positive, default=256, help="images of a batch of ours (default %(default)s)")
    made.add_argument(
        "--workers", type=int, nargs="+", default=[0, 2], help="workers of the published loader (default: 0 and 2)"
    )
    made.add_argument("--device", type=available_device, default="cpu", help="cpu or cuda (default %(default)s)")
    return made.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Check, measure and print."""
    options = options_from(arguments)
    use_threads(options)
    prepare(options.device)
    images = load_dataset("cifar10", options.data).test.select(np.arange(options.images))
    found = sweeps(options, images)
    check_equal({name: sweep() for name, sweep in found.items()}, len(images))
    sides = {name: partial(rate, options.device, partial(counted, sweep, len(images))) for name, sweep in found.items()}
    readings = interleave(sides, options.rounds)
    over = [f"over {name}" for name in readings if not name.startswith("ours")]
    title = f"{len(EPSILONS)} eps, {len(images)} images, {options.rounds} rounds: median (lowest to highest)"
    report(options, {title: table(["side", "images/s", *over], rows(readings))}, readings)


if __name__ == "__main__":
    main()
