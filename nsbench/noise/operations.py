"""The rules of input noise on a batch of images, shared by its two executions.

Images are planar uint8 tensors (n, 3, side * side) on any device. Results are integers, computed from integers or
looked up: a compiler may round a product and a sum together where the interpreter rounds twice, so a rule in
floating point could give another pixel when compiled. No shape and no branch depends on the data.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad


def look_up(table: Tensor, indices: Tensor) -> Tensor:
    """Entries of one table (values,) at `indices` of any shape."""
    return table.index_select(0, indices.reshape(-1).int()).reshape(indices.shape)


def look_up_each(tables: Tensor, images: Tensor) -> Tensor:
    """Every pixel through its channel's table; `tables` is (n, 3 or 1, 256)."""
    return torch.gather(tables.expand(-1, images.shape[1], -1), 2, images.long())


def move(images: Tensor, maps: Tensor) -> Tensor:
    """Pixels fetched from where `maps`, int (n, pixels), says; the index after the last pixel is black."""
    return torch.gather(pad(images, (0, 1)), 2, maps.long()[:, None].expand_as(images))


def crop_and_flip(images: Tensor, side: int, padding: int, crops: Tensor, flips: Tensor) -> Tensor:
    """Crop from the image framed by `padding` black pixels, then mirror.

    Args:
        images: square, of `side` pixels.
        side: height and width in pixels.
        padding: width of the frame in pixels.
        crops: int64 (n, 2), top and left of the crop in the framed image, 0..2 * padding.
        flips: bool (n,), mirrored or not.
    """
    line = torch.arange(side, device=images.device)
    rows = crops[:, :1] + line - padding
    columns = crops[:, 1:] + torch.where(flips[:, None], side - 1 - line, line) - padding
    inside = _within(rows, side)[:, :, None] & _within(columns, side)[:, None, :]
    source = torch.where(inside, rows[:, :, None] * side + columns[:, None, :], side * side)
    return move(images, source.flatten(1))


def grey(images: Tensor) -> Tensor:
    """(n, 1, pixels) int32 luma by ITU-R 601-2 in Pillow's fixed point."""
    red, green, blue = images.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16)[:, None]


def mean_grey(images: Tensor) -> Tensor:
    """(n, 1, 1) int32 mean luma, rounded half up."""
    pixels = images.shape[2]
    total = grey(images).sum(2, keepdim=True, dtype=torch.int32)
    return (2 * total + pixels) // (2 * pixels)


def smooth(images: Tensor, side: int) -> Tensor:
    """(n, 3, pixels) int32, Pillow's SMOOTH: (5 * centre + 8 neighbours) / 13, rounded; the border is copied."""
    planes = images.reshape(-1, side, side).int()
    rows = planes[:, :-2] + planes[:, 1:-1] + planes[:, 2:]
    total = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * planes[:, 1:-1, 1:-1]
    smoothed = planes.clone()
    smoothed[:, 1:-1, 1:-1] = (total + 6) // 13
    return smoothed.reshape(images.shape)


def autocontrast_tables(images: Tensor, stretches: Tensor) -> Tensor:
    """(n, 3, 256) uint8: each channel's values stretched to 0..255.

    Args:
        images: to be stretched.
        stretches: uint8 (65536, 256), `nsbench.noise.tables.stretches` on the device of `images`.
    """
    values = images.int()  # compiled for a CPU, the minimum of uint8 may be a wrong 0: pytorch#191499
    rows = values.amin(2) * 256 + values.amax(2)
    return stretches.index_select(0, rows.reshape(-1)).reshape(*rows.shape, 256)


def equalize_tables(images: Tensor) -> Tensor:
    """(n, 3, 256) uint8: each channel's histogram flattened as Pillow does in integers."""
    values = images.long()
    ones = torch.ones((1, 1, 1), dtype=torch.int32, device=images.device).expand_as(values)
    empty = torch.zeros((*images.shape[:2], 256), dtype=torch.int32, device=images.device)
    histogram = empty.scatter_add(2, values, ones)
    last = torch.gather(histogram, 2, values.amax(2, keepdim=True))
    step = (images.shape[2] - last) // 255
    before = histogram.cumsum(2, dtype=torch.int32) - histogram
    flattened = ((before + step // 2) // step.clamp(min=1)).clamp(max=255)
    unchanged = torch.arange(256, dtype=torch.int32, device=images.device)
    return torch.where(step > 0, flattened, unchanged).to(torch.uint8)


def cutout_squares(centers: Tensor, extent: float, side: int) -> Tensor:
    """(n, 1, pixels) bool: inside the square that Pillow's rectangle fills, its far corner included.

    Args:
        centers: float32 (n, 2) in [0, 1), x and y as shares of the side.
        extent: extent of the square in pixels, above 0.
        side: height and width of the image in pixels.
    """
    # a float32 times a small integer is exact in float64, so one rounding or two give the same corner
    starts = (centers.double() * side - extent / 2).clamp(min=0).long()
    stops = (starts.double() + extent).clamp(max=side).long()
    line = torch.arange(side, device=centers.device)
    inside = (line >= starts[..., None]) & (line <= stops[..., None])
    return (inside[:, 1, :, None] & inside[:, 0, None, :]).reshape(len(centers), 1, side * side)


def _within(positions: Tensor, side: int) -> Tensor:
    return (positions >= 0) & (positions < side)
