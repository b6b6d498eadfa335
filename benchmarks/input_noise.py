"""Input noise alone, images per second: nsbench, the published Pillow pipeline, torchvision and kornia, in turn.

From uint8 images in memory to a batch of normalised floats: RandAugment (N = 2, M = 27), crop with 4 pixels of padding,
flip. torchvision's and kornia's operations and ranges are their own. Ours is first made sure to equal the published
pipeline to the bit, with the same random parameters.
"""

from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
import ours
import published
import torch
from interleaved import Readings, interleave, parser, positive, ratios, report, spread, table, timed_for, use_threads
from torch import Tensor, nn
from torchvision.transforms import v2  # type: ignore[import-untyped]  # torchvision ships no types
from torchvision.transforms.functional import to_pil_image  # type: ignore[import-untyped]  # torchvision ships no types

from nsbench.data.images import ImageSet
from nsbench.data.load import load_dataset
from nsbench.networks.classifier import Normalize

CPU = torch.device("cpu")
NORM = ((0.4913, 0.4821, 0.4465), (0.2470, 0.2434, 0.2615))
CHECKED = 512
PILLOW, KORNIA = "published, Pillow image by image", "kornia, whole batch, one draw of operations"
Work = Callable[[], int]
Image = TypeVar("Image")


def nsbench_side(images: ImageSet, apply: ours.Apply) -> Work:
    """Ours: the draws, their application, and the floats."""
    pixels, normalize, generator = ours.planar(images, CPU), Normalize(*NORM), torch.Generator().manual_seed(0)

    def work() -> int:
        noisy = apply(pixels, ours.draw(len(pixels), generator))
        normalize(noisy.view(-1, 3, ours.SIDE, ours.SIDE).float().div_(255))
        return len(pixels)

    return work


def published_side(code: published.PublishedCode, images: ImageSet) -> Work:
    """The published transform of each image, stacked into a batch as its loader does."""
    noise = code.noise(NORM)
    return one_by_one([image.copy() for image in images.images], noise)


def torchvision_image_by_image(images: ImageSet, *, pillow: bool) -> Work:
    """Torchvision v2, a draw for each image."""
    if pillow:
        return one_by_one([to_pil_image(image) for image in images.images], torchvision_noise(v2.PILToTensor()))
    return one_by_one(list(channels_first(images)), torchvision_noise())


def torchvision_whole_batch(images: ImageSet) -> Work:
    """Torchvision v2 on a batch: every image gets the same operations, crop and flip."""
    return whole(channels_first(images), torchvision_noise())


def kornia_whole_batch(images: ImageSet) -> Work:
    """Kornia on a batch: every image gets the same operations; crops and flips differ."""
    from kornia import augmentation  # type: ignore[import-not-found]  # optional
    from kornia.augmentation.auto import RandAugment  # type: ignore[import-not-found]  # optional

    cut = augmentation.RandomCrop((ours.SIDE, ours.SIDE), padding=4)
    noise = nn.Sequential(RandAugment(2, 27), cut, augmentation.RandomHorizontalFlip(), Normalize(*NORM))
    pixels = channels_first(images)
    return whole(pixels, lambda batch: noise(batch.float() / 255))


def torchvision_noise(*first: nn.Module) -> Callable[[object], Tensor]:
    """RandAugment, crop, flip, floats, normalisation by torchvision v2; `first` stands before the floats."""
    noise: Callable[[object], Tensor] = v2.Compose(
        [
            v2.RandAugment(2, 27),
            v2.RandomCrop(ours.SIDE, padding=4),
            v2.RandomHorizontalFlip(),
            *first,
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(*(list(values) for values in NORM)),
        ]
    )
    return noise


def one_by_one(images: Sequence[Image], noise: Callable[[Image], Tensor]) -> Work:
    """`noise` on each image."""
    return lambda: len(torch.stack([noise(image) for image in images]))


def whole(pixels: Tensor, noise: Callable[[Tensor], Tensor]) -> Work:
    """`noise` on all images at once."""
    return lambda: len(noise(pixels))


def channels_first(images: ImageSet) -> Tensor:
    """uint8 (N, 3, H, W)."""
    return torch.tensor(images.images).permute(0, 3, 1, 2).contiguous()


def check_equal(code: published.PublishedCode, images: ImageSet, apply: ours.Apply) -> None:
    """Ours gives the published pipeline's pixels, to the bit, when both take the same random parameters."""
    draws = ours.draw(len(images), torch.Generator().manual_seed(1))
    noisy = apply(ours.planar(images, CPU), draws).numpy()
    mine = noisy.transpose(0, 2, 1).reshape(images.images.shape)
    np.testing.assert_array_equal(mine, published.replay(code, images.images, draws))


def works(options: Namespace, images: ImageSet) -> tuple[dict[str, Work], dict[str, str]]:
    """What is measured, the Pillow pipeline first, and why the rest is not."""
    applies: dict[str, ours.Apply] = {"nsbench, grouped": ours.grouped(CPU), "nsbench, dense": ours.dense(CPU)}
    found: dict[str, Work] = {}
    missing = {}
    if options.published is None:
        missing[PILLOW] = "--published names no folder; equality was not checked either"
    else:
        code = published.load(options.published)
        for apply in applies.values():
            check_equal(code, images.select(np.arange(min(CHECKED, len(images)))), apply)
        found[PILLOW] = published_side(code, images)
    found |= {name: nsbench_side(images, apply) for name, apply in applies.items()}
    found["torchvision v2, image by image, tensors"] = torchvision_image_by_image(images, pillow=False)
    found["torchvision v2, image by image, Pillow"] = torchvision_image_by_image(images, pillow=True)
    found["torchvision v2, whole batch, ONE draw"] = torchvision_whole_batch(images)
    if find_spec("kornia") is None:
        missing[KORNIA] = "kornia is not installed"
    else:
        found[KORNIA] = kornia_whole_batch(images)
    return found, missing


def rows(readings: Readings, missing: dict[str, str]) -> list[list[str]]:
    """One row a side; the ratio is to the Pillow pipeline."""
    found = []
    for name, values in readings.items():
        ratio = spread(ratios(readings, name, PILLOW), ".2f") if PILLOW in readings else ""
        found.append([name, spread(values), ratio])
    return found + [[name, f"not measured: {reason}", ""] for name, reason in missing.items()]


def options_from(arguments: Sequence[str] | None) -> Namespace:
    """The command line."""
    made = parser(__doc__, threads=1)
    made.add_argument("--published", type=published.folder, metavar="DIR", help="folder of the published code")
    made.add_argument("--data", type=Path, metavar="DIR", help="folder of CIFAR-10; random images unless given")
    made.add_argument("--batch", type=positive, default=512, help="images of a batch (default %(default)s)")
    made.add_argument("--seconds", type=float, default=2.0, help="least length of a reading (default %(default)s)")
    return made.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = options_from(arguments)
    use_threads(options)
    torch.manual_seed(0)
    images = ours.random_images(options.batch)
    if options.data is not None:
        images = load_dataset("cifar10", options.data).train.select(np.arange(options.batch))
    found, missing = works(options, images)
    for work in found.values():
        work()
    sides = {name: partial(timed_for, options.seconds, work) for name, work in found.items()}
    readings = interleave(sides, options.rounds)
    title = f"Input noise, batches of {options.batch}, {options.rounds} rounds: median (lowest to highest)"
    report(options, {title: table(["side", "images/s", "over the Pillow pipeline"], rows(readings, missing))}, readings)


if __name__ == "__main__":
    main()
