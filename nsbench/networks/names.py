"""Network names: `resnet20`, `resnet8-w0.5` for half the channels, `efficientnet-b0`."""

import re
from dataclasses import dataclass
from difflib import get_close_matches

from nsbench.errors import UserError, shortened

FORMS = (
    "resnetDEPTH, resnetDEPTH-wFACTOR (depth 6n + 2 up to 1202, factor in eighths up to 16) and efficientnet-b0 to -b7"
)
"""How names are formed, for help and for error messages."""

LARGEST_EFFICIENTNET = 7
DEEPEST_RESNET = 1202
"""The deepest that was published for CIFAR-10 (He et al. 2016, arXiv:1512.03385, section 4.2)."""
_LONGEST = 40
_NARROWEST, _WIDEST, _WIDTH_STEP = 1 / 8, 16, 1 / 8
_RESNET = re.compile(r"resnet([0-9]+)(?:-w([0-9]+(?:\.[0-9]+)?))?")
_EFFICIENTNET = re.compile(r"efficientnet-b(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class ResNetName:
    """A CIFAR ResNet: depth 6n + 2 and a width factor.

    Attributes:
        depth: 8, 14, 20, 26, 32, 38, ... 1202.
        width: factor on the 16 / 32 / 64 channels, a multiple of 1/8.
    """

    depth: int
    width: float

    def __str__(self) -> str:
        return f"resnet{self.depth}" + ("" if self.width == 1 else f"-w{self.width:g}")


@dataclass(frozen=True)
class EfficientNetName:
    """An EfficientNet of the published compound scaling.

    Attributes:
        size: 0 for B0 .. 7 for B7.
    """

    size: int

    def __str__(self) -> str:
        return f"efficientnet-b{self.size}"


NetworkName = ResNetName | EfficientNetName


def parse_network_name(text: str) -> NetworkName:
    """Read a network's name.

    Raises UserError for a name of no family, a depth that is not 6n + 2 or above 1202, a width that would split a
    channel, or an EfficientNet that was never published.

    >>> parse_network_name("resnet8-w0.5")
    ResNetName(depth=8, width=0.5)
    >>> parse_network_name("efficientnet-b3")
    EfficientNetName(size=3)
    """
    if len(text) > _LONGEST:
        raise _refusal(shortened(text, _LONGEST), "is not a network", None)
    if match := _RESNET.fullmatch(text):
        return _resnet(text, int(match[1]), float(match[2] or 1))
    if match := _EFFICIENTNET.fullmatch(text):
        return _efficientnet(text, int(match[1]))
    raise _refusal(text, "is not a network", _nearest_spelling(text))


def _resnet(text: str, depth: int, width: float) -> ResNetName:
    nearest = ResNetName(
        min(6 * max(1, round((depth - 2) / 6)) + 2, DEEPEST_RESNET),
        min(max(_NARROWEST, round(width / _WIDTH_STEP) * _WIDTH_STEP), _WIDEST),
    )
    if depth > DEEPEST_RESNET:
        raise _refusal(text, f"is deeper than {DEEPEST_RESNET}", nearest)
    if depth != nearest.depth:
        raise _refusal(text, "has a depth that is not 6n + 2", nearest)
    if width != nearest.width:
        raise _refusal(text, "has a width factor outside 1/8 .. 16 in steps of 1/8", nearest)
    return nearest


def _efficientnet(text: str, size: int) -> EfficientNetName:
    if size > LARGEST_EFFICIENTNET:
        raise _refusal(text, "is larger than any EfficientNet", EfficientNetName(LARGEST_EFFICIENTNET))
    return EfficientNetName(size)


def _refusal(text: str, fault: str, nearest: NetworkName | None) -> UserError:
    remedy = f"use {nearest}, or another of" if nearest else "use one of"
    return UserError(f"{text!r} {fault}: {remedy} {FORMS}.")


def _nearest_spelling(text: str) -> NetworkName | None:
    """The name that looks most like `text`, if any does."""
    names: list[NetworkName] = [EfficientNetName(size) for size in range(LARGEST_EFFICIENTNET + 1)]
    names += [ResNetName(6 * n + 2, 1) for n in range(1, 19)]
    spelled = {str(name): name for name in names}
    close = get_close_matches(text.lower(), spelled, n=1, cutoff=0.7)
    return spelled[close[0]] if close else None
