"""Network names: `resnet20`, or `resnet8-w0.5` for half the channels."""

import re
from dataclasses import dataclass

from nsbench.errors import UserError

_NAME = re.compile(r"resnet(\d+)(?:-w(\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class NetworkName:
    """A CIFAR ResNet: depth 6n + 2 and a width factor.

    Attributes:
        depth: 8, 14, 20, 26, 32, 38, ...
        width: factor on the 16 / 32 / 64 channels, a multiple of 1/8.
    """

    depth: int
    width: float

    def __str__(self) -> str:
        return f"resnet{self.depth}" + ("" if self.width == 1 else f"-w{self.width:g}")


def parse_network_name(text: str) -> NetworkName:
    """Read a network's name.

    Raises UserError for a name that is not of this form, a depth that is not 6n + 2, or a width that would split a
    channel.

    >>> parse_network_name("resnet8-w0.5")
    NetworkName(depth=8, width=0.5)
    """
    match = _NAME.fullmatch(text)
    if match is None:
        raise UserError(
            f"{text!r} is not a network: use resnetDEPTH or resnetDEPTH-wFACTOR, such as resnet20 or resnet8-w0.5."
        )
    depth, width = int(match[1]), float(match[2] or 1)
    if depth < 8 or (depth - 2) % 6:
        raise UserError(f"{text!r} has a depth that is not 6n + 2: use 8, 14, 20, 26, 32, 38 and so on.")
    if not (1 / 8 <= width <= 16) or (8 * width) % 1:
        raise UserError(f"{text!r} has a width factor outside 1/8 .. 16 in steps of 1/8.")
    return NetworkName(depth, width)
