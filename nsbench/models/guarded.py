"""A network at work: whatever it does but give one row of logits for each image becomes one sentence.

What is looked at here is known to the host, so the device is not waited for; whether logits are numbers is counted on
the device, and read once a cell (`nsbench.predictions.gathered`).
"""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from nsbench.devices import is_out_of_memory
from nsbench.errors import UserError, describe, shortened
from nsbench.foreign import place

_PACKAGE = Path(__file__).parent.parent


class Guarded(nn.Module):
    """A network whose every output is looked at.

    Args:
        network: in evaluation mode; images to logits (N, classes).
        classes: number of classes of the data set.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes
        self.training = False  # `eval()` would hide that the network itself is in training mode

    def forward(self, images: Tensor) -> Tensor:
        """Floating-point logits (N, classes), on the device of the images.

        Raises UserError, in words about `it`, when the network fails, gives anything else, or is in training mode.
        """
        with foreign(f"it fails on {len(images)} images"):
            out = self.network(images)
            fault = output_fault(out, images, self.classes)
        if fault is not None:
            raise UserError(f"it {fault}")
        training = next((name for name, module in self.network.named_modules() if module.training), None)
        if training is not None:
            raise UserError(
                f"it puts itself into training mode (first in {training or 'the whole network'}): "
                "leave its modules in evaluation mode."
            )
        logits: Tensor = out.clone()  # a captured graph writes its next answer to the same place
        return logits


def output_fault(out: object, images: Tensor, classes: int) -> str | None:
    """What is wrong with the output for images (N, ...), and the remedy, as the end of a sentence; None for logits."""
    if not isinstance(out, Tensor):
        return f"gives {_in_words(out)} instead of one tensor of logits: return logits alone."
    if out.is_nested or out.is_quantized or out.layout is not torch.strided or not out.is_floating_point():
        dtype = str(out.dtype).removeprefix("torch.")
        return f"gives a tensor of {dtype} ({_layout(out)}): return dense floating-point logits."
    if out.device != images.device:
        return f"gives logits on {out.device} for images on {images.device}: leave them there."
    if out.ndim != 2 or len(out) != len(images):
        return (
            f"gives a tensor of shape {tuple(out.shape)} for {len(images)} images: "
            f"return one row of {classes} logits per image."
        )
    if out.shape[1] != classes:
        return f"gives {out.shape[1]} classes, but the data set has {classes}: use a model trained on this data set."
    return None


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """Turn whatever code that is not ours raises into one sentence, which begins with `what` it did."""
    try:
        yield
    except UserError:
        raise
    except BaseException as error:
        if passes(error):
            raise
        raise UserError(f"{what} {_how(error)}") from error


@contextmanager
def named(model: str, cell: str) -> Iterator[None]:
    """Say of which model and cell a sentence is, and make one of what a network's backward pass raises.

    An exception whose last Python frame is nsbench's own is a bug, and stays one.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f"{model} on {cell}: {error}") from error
    except BaseException as error:
        if passes(error) or _is_ours(error):
            raise
        raise UserError(f"{model} on {cell}: it fails {_how(error)}") from error


def passes(error: BaseException) -> bool:
    """Whether an exception is not about the model: the user's Ctrl-C, or memory that ran out."""
    return isinstance(error, KeyboardInterrupt) or is_out_of_memory(error)


def _is_ours(error: BaseException) -> bool:
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return Path(frames[-1]).is_relative_to(_PACKAGE)


def _how(error: BaseException) -> str:
    return f"({describe(error)}){place(error)}: mend it, or leave it out."


def _in_words(out: object) -> str:
    if isinstance(out, Mapping):
        return f"a dictionary ({', '.join(shortened(str(name), 40) for name in list(out)[:4])})"
    if isinstance(out, list | tuple):
        return f"a {type(out).__name__} of {len(out)}"
    return f"a value of type {type(out).__name__}"


def _layout(out: Tensor) -> str:
    if out.is_nested:
        return "nested"
    if out.is_quantized:
        return "quantised"
    return "dense" if out.layout is torch.strided else "sparse"
