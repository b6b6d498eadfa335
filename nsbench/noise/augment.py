"""Input noise applied group by group: RandAugment, then random crop, then horizontal flip.

Images are planar uint8 tensors (N, 3, side * side) on any device; the draws stay on the CPU, so grouping images by
operation costs no device synchronisation. Results equal Pillow's, operation by operation, to the bit. This is the
execution for a CPU, where work is what costs; `nsbench.noise.dense` is the one for a device.
"""

import numpy as np
import torch
from torch import Tensor

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


class Augmenter:
    """Input noise of one setting, with its tables on one device."""

    def __init__(self, noise: InputNoise, side: int, device: torch.device) -> None:
        self.noise = noise
        self.side = side
        self.tables = _DeviceTables(build_tables(noise.magnitude, side), device)

    def draw(self, count: int, generator: torch.Generator) -> Draws:
        """Draw parameters for `count` images."""
        return draw(count, self.noise, generator)

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Augmented copy of `images`, uint8 (N, 3, side * side); `draws` are on the CPU."""
        assert images.dtype == torch.uint8, images.dtype
        assert images.shape[1:] == (3, self.side**2), images.shape
        images = images.clone()
        for turn in range(draws.operations.shape[1]):
            self._one_round(images, draws, turn)
        if self.noise.crop_padding or self.noise.flip:
            crops, flips = (part.to(images.device, non_blocking=True) for part in (draws.crops, draws.flips))
            images = crop_and_flip(images, self.side, self.noise.crop_padding, crops, flips)
        return images

    def _one_round(self, images: Tensor, draws: Draws, turn: int) -> None:
        operations = draws.operations[:, turn].numpy()
        negative = draws.negative[:, turn].numpy()
        for index, name in enumerate(OPERATIONS):
            chosen = operations == index
            if name == "identity" or not chosen.any():
                continue
            for sign in (False, True) if name in GEOMETRIC else (None,):
                members = chosen if sign is None else chosen & (negative == sign)
                rows = torch.from_numpy(np.flatnonzero(members))
                if len(rows):
                    centers = draws.centers[rows, turn]
                    on_device = rows.to(images.device, non_blocking=True)
                    group = images.index_select(0, on_device)
                    images.index_copy_(0, on_device, self.tables.apply(group, name, bool(sign), centers))


class _DeviceTables:
    """The tables on a device, and each operation on a group of images (n, 3, pixels)."""

    def __init__(self, tables: Tables, device: torch.device) -> None:
        self.side = tables.side
        self.maps = {name: torch.from_numpy(maps).to(device) for name, maps in tables.maps.items()}
        self.points = {name: torch.from_numpy(table).to(device) for name, table in tables.points.items()}
        self.blend = torch.from_numpy(tables.blend.copy()).to(device)
        self.stretches = torch.from_numpy(stretches()).to(device)
        self.cutout = tables.cutout
        self.cutout_color = torch.tensor(CUTOUT_COLOR, dtype=torch.uint8, device=device)[:, None]

    def apply(self, group: Tensor, name: str, negative: bool, centers: Tensor) -> Tensor:
        if name in GEOMETRIC:
            return move(group, self.maps[name][int(negative)].expand(len(group), -1))
        if name in POINTWISE:
            return look_up(self.points[name], group)
        if name == "cutout":
            return self._cut_out(group, centers)
        if name == "autocontrast":
            return look_up_each(autocontrast_tables(group, self.stretches), group)
        if name == "equalize":
            return look_up_each(equalize_tables(group), group)
        return look_up(self.blend, self._degenerate(group, name).expand_as(group) * 256 + group.int())

    def _degenerate(self, group: Tensor, name: str) -> Tensor:
        if name == "sharpness":
            return smooth(group, self.side)
        return {"color": grey, "contrast": mean_grey}[name](group)

    def _cut_out(self, group: Tensor, centers: Tensor) -> Tensor:
        if self.cutout <= 0:
            return group
        squares = cutout_squares(centers, self.cutout, self.side)
        return torch.where(squares.to(group.device, non_blocking=True), self.cutout_color, group)
