"""Input noise applied to a batch: RandAugment, then random crop, then horizontal flip.

Images are planar uint8 tensors (N, 3, side * side) on any device; the draws stay on the CPU, so grouping images by
operation costs no device synchronisation. Results equal Pillow's, operation by operation, to the bit.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from nsbench.noise.draws import Draws, InputNoise, draw
from nsbench.noise.tables import CUTOUT_COLOR, GEOMETRIC, OPERATIONS, POINTWISE, Tables, build_tables


class Augmenter:
    """Input noise of one setting, with its tables on one device."""

    def __init__(self, noise: InputNoise, side: int, device: torch.device) -> None:
        self.noise = noise
        self.side = side
        self.tables = _DeviceTables(build_tables(noise.magnitude, side), device)
        self.crop_maps = _crop_maps(side, noise.crop_padding).to(device)

    def draw(self, count: int, generator: torch.Generator) -> Draws:
        """Draw parameters for `count` images."""
        return draw(count, self.noise, generator)

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Augmented copy of `images`, uint8 (N, 3, side * side)."""
        assert images.dtype == torch.uint8, images.dtype
        assert images.shape[1:] == (3, self.side**2), images.shape
        images = images.clone()
        for turn in range(draws.operations.shape[1]):
            self._one_round(images, draws, turn)
        if self.noise.crop_padding or self.noise.flip:
            images = self._crop_and_flip(images, draws)
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

    def _crop_and_flip(self, images: Tensor, draws: Draws) -> Tensor:
        width = 2 * self.noise.crop_padding + 1
        which = (draws.crops[:, 0] * width + draws.crops[:, 1]) * 2 + draws.flips
        maps = self.crop_maps.index_select(0, which.to(images.device, non_blocking=True))
        return torch.gather(pad(images, (0, 1)), 2, maps[:, None].expand_as(images))


class _DeviceTables:
    """The tables on a device, and each operation on a group of images (n, 3, pixels)."""

    def __init__(self, tables: Tables, device: torch.device) -> None:
        self.side = tables.side
        self.maps = {name: torch.from_numpy(maps).to(device) for name, maps in tables.maps.items()}
        self.points = {name: torch.from_numpy(table).to(device) for name, table in tables.points.items()}
        self.blend = torch.from_numpy(tables.blend.copy()).to(device)
        self.cutout = tables.cutout
        self.cutout_color = torch.tensor(CUTOUT_COLOR, dtype=torch.uint8, device=device)[:, None]

    def apply(self, group: Tensor, name: str, negative: bool, centers: Tensor) -> Tensor:
        if name in GEOMETRIC:
            return pad(group, (0, 1)).index_select(2, self.maps[name][int(negative)])
        if name in POINTWISE:
            return _look_up(self.points[name], group)
        if name == "cutout":
            return self._cut_out(group, centers)
        if name == "autocontrast":
            return _autocontrast(group)
        if name == "equalize":
            return _equalize(group)
        degenerate = {"color": _grey, "contrast": _mean_grey, "sharpness": self._smooth}[name](group)
        return _look_up(self.blend, degenerate.expand_as(group).int() * 256 + group.int())

    def _cut_out(self, group: Tensor, centers: Tensor) -> Tensor:
        if self.cutout <= 0:
            return group
        side, extent = self.side, self.cutout
        starts = (centers.double() * side - extent / 2).clamp(min=0).long()
        stops = (starts + extent).clamp(max=side).long()  # Pillow's rectangle includes its far corner
        line = torch.arange(side)
        inside = (line >= starts[..., None]) & (line <= stops[..., None])
        square = (inside[:, 1, :, None] & inside[:, 0, None, :]).reshape(len(group), 1, side * side)
        return torch.where(square.to(group.device, non_blocking=True), self.cutout_color, group)

    def _smooth(self, group: Tensor) -> Tensor:
        """Pillow's SMOOTH: (5 * centre + 8 neighbours) / 13, rounded; the border is copied."""
        planes = group.reshape(-1, self.side, self.side).int()
        rows = planes[:, :-2] + planes[:, 1:-1] + planes[:, 2:]
        total = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * planes[:, 1:-1, 1:-1]
        smooth = planes.clone()
        smooth[:, 1:-1, 1:-1] = (2 * total + 13) // 26
        return smooth.reshape(group.shape)


def _look_up(table: Tensor, indices: Tensor) -> Tensor:
    return table.index_select(0, indices.reshape(-1).int()).reshape(indices.shape)


def _grey(group: Tensor) -> Tensor:
    """(n, 1, pixels) int32 luma by ITU-R 601-2 in Pillow's fixed point."""
    red, green, blue = group.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16)[:, None]


def _mean_grey(group: Tensor) -> Tensor:
    """(n, 1, 1) int32 mean luma, rounded half up."""
    total, pixels = _grey(group).sum(2, keepdim=True), group.shape[2]
    return ((2 * total + pixels) // (2 * pixels)).int()


def _autocontrast(group: Tensor) -> Tensor:
    """Stretch each channel's values to 0..255; a flat channel stays."""
    low = group.amin(2, keepdim=True).double()
    span = group.amax(2, keepdim=True).double() - low
    scale = torch.full_like(span, 255.0) / span.clamp(min=1)  # a true division: 255.0 / tensor multiplies a reciprocal
    ramp = torch.arange(256, dtype=torch.float64, device=group.device)
    table = (ramp * scale + -low * scale).clamp(0, 255).to(torch.uint8)
    stretched = torch.gather(table, 2, group.long())
    return torch.where(span > 0, stretched, group)


def _equalize(group: Tensor) -> Tensor:
    """Flatten each channel's histogram as Pillow does in integers."""
    values = group.long()
    histogram = torch.zeros((*group.shape[:2], 256), dtype=torch.int64, device=group.device)
    histogram.scatter_add_(2, values, torch.ones_like(values))
    last = torch.gather(histogram, 2, values.amax(2, keepdim=True))
    step = (group.shape[2] - last) // 255
    before = histogram.cumsum(2) - histogram
    table = ((before + step // 2) // step.clamp(min=1)).clamp(max=255).to(torch.uint8)
    return torch.where(step > 0, torch.gather(table, 2, values), group)


def _crop_maps(side: int, padding: int) -> Tensor:
    """((2 * padding + 1)**2 * 2, side * side) int64: crop top, crop left, flip -> source pixels, side**2 outside."""
    pixels = np.full((side + 2 * padding,) * 2, side * side, dtype=np.int64)
    pixels[padding : padding + side, padding : padding + side] = np.arange(side * side).reshape(side, side)
    maps = []
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = pixels[top : top + side, left : left + side]
            maps += [crop.reshape(-1), crop[:, ::-1].reshape(-1)]
    return torch.from_numpy(np.stack(maps))
