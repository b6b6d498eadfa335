"""Input noise applied to all images at once: fixed shapes, no branch on the data, no wait for the device.

Every image goes through every kind of operation and keeps the one drawn. On a device that is one short sequence of
kernels, which can be captured in a CUDA graph or compiled as one graph; on a CPU `nsbench.noise.augment` does the same
with less work. Both give the same images to the bit.
"""

import numpy as np
import torch
from torch import Tensor, nn

from nsbench.noise.draws import Draws, InputNoise, draw
from nsbench.noise.operations import (
    autocontrast_tables,
    crop_and_flip,
    cutout_squares,
    equalize_tables,
    grey,
    look_up,
    look_up_each,
    mean_grey,
    move,
    smooth,
)
from nsbench.noise.tables import CUTOUT_COLOR, GEOMETRIC, OPERATIONS, POINTWISE, Tables, build_tables, stretches

_AUTOCONTRAST, _EQUALIZE, _COLOR, _CONTRAST, _SHARPNESS, _CUTOUT = (
    OPERATIONS.index(name) for name in ("autocontrast", "equalize", "color", "contrast", "sharpness", "cutout")
)


class DenseAugmenter:
    """Input noise of one setting, with its tables on one device."""

    def __init__(self, noise: InputNoise, side: int, device: torch.device) -> None:
        self.noise = noise
        self.side = side
        tables = build_tables(noise.magnitude, side)
        self.cutout = tables.cutout
        self.tables = _DenseTables(tables).to(device)

    def draw(self, count: int, generator: torch.Generator) -> Draws:
        """Draw parameters for `count` images, on the CPU."""
        return draw(count, self.noise, generator)

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Augmented copy of `images`, uint8 (N, 3, side * side); `draws` are on the same device."""
        assert images.dtype == torch.uint8, images.dtype
        assert images.shape[1:] == (3, self.side**2), images.shape
        return self.apply(images, *draws.tensors())

    def apply(
        self, images: Tensor, operations: Tensor, negative: Tensor, centers: Tensor, crops: Tensor, flips: Tensor
    ) -> Tensor:
        """Augmented copy of `images`; the function to compile or to capture.

        Args:
            images: uint8 (N, 3, side * side).
            operations: and all that follow, as `nsbench.noise.draws.Draws` describes them, on the device of `images`.
            negative: (N, R) bool.
            centers: (N, R, 2) float32.
            crops: (N, 2) int64.
            flips: (N,) bool.
        """
        images = images.clone()
        for turn in range(operations.shape[1]):
            images = self._one_round(images, operations[:, turn], negative[:, turn], centers[:, turn])
        if self.noise.crop_padding or self.noise.flip:
            images = crop_and_flip(images, self.side, self.noise.crop_padding, crops, flips)
        return images

    def _one_round(self, images: Tensor, operations: Tensor, negative: Tensor, centers: Tensor) -> Tensor:
        moved = move(images, self.tables.maps.index_select(0, 2 * operations + negative))
        changed = look_up_each(self._value_tables(images, operations), moved)  # one of the two is the identity
        drawn = operations[:, None, None]
        blended = (drawn == _COLOR) | (drawn == _CONTRAST) | (drawn == _SHARPNESS)
        changed = torch.where(blended, self._blend(images, drawn), changed)
        if self.cutout <= 0:
            return changed
        squares = cutout_squares(centers, self.cutout, self.side)
        return torch.where((drawn == _CUTOUT) & squares, self.tables.cutout_color, changed)

    def _value_tables(self, images: Tensor, operations: Tensor) -> Tensor:
        """(N, 3, 256) uint8: what becomes of each value in each channel; the identity for the other operations."""
        drawn = operations[:, None, None]
        points = self.tables.points.index_select(0, operations)[:, None]
        stretched = autocontrast_tables(images, self.tables.stretches)
        tables = torch.where(drawn == _AUTOCONTRAST, stretched, points)
        return torch.where(drawn == _EQUALIZE, equalize_tables(images), tables)

    def _blend(self, images: Tensor, drawn: Tensor) -> Tensor:
        grey_or_mean = torch.where(drawn == _COLOR, grey(images), mean_grey(images))
        degenerate = torch.where(drawn == _SHARPNESS, smooth(images, self.side), grey_or_mean)
        return look_up(self.tables.blend, degenerate * 256 + images.int())


class _DenseTables(nn.Module):
    """The tables with a row for every operation, resident on the device.

    Buffers of a module: a compiler may rely on their addresses, so a graph reads them in place.

    Attributes:
        maps: (2 * 17, pixels) int32, row 2 * operation + negative: source pixels; the identity if not geometric.
        points: (17, 256) uint8, a row for each operation; the identity if it is not a point operation.
        blend: (65536,) uint8, entry 256 * degenerate + original.
        stretches: (65536, 256) uint8, row 256 * low + high: autocontrast.
        cutout_color: (3, 1) uint8.
    """

    maps: Tensor
    points: Tensor
    blend: Tensor
    stretches: Tensor
    cutout_color: Tensor

    def __init__(self, tables: Tables) -> None:
        super().__init__()
        still = np.broadcast_to(np.arange(tables.side**2), (2, tables.side**2))
        maps = [tables.maps[name] if name in GEOMETRIC else still for name in OPERATIONS]
        ramp = np.arange(256, dtype=np.uint8)
        points = [tables.points[name] if name in POINTWISE else ramp for name in OPERATIONS]
        self.register_buffer("maps", torch.from_numpy(np.concatenate(maps).astype(np.int32)))
        self.register_buffer("points", torch.from_numpy(np.stack(points)))
        self.register_buffer("blend", torch.from_numpy(tables.blend.copy()))
        self.register_buffer("stretches", torch.from_numpy(stretches()))
        self.register_buffer("cutout_color", torch.tensor(CUTOUT_COLOR, dtype=torch.uint8)[:, None])
