"""The public CIFAR ResNets and their weights, from a checkout of the repository akamaster/pytorch_resnet_cifar10.

Its folder holds `resnet.py` and, in `pretrained_models`, the weights; both in one folder will do. The network is
its own class; images come in as bytes, and its normalisation is inside.
"""

import hashlib
import importlib.util
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nsbench.data.images import ImageSet

CORRECT = {"resnet20": 9173, "resnet32": 9263, "resnet44": 9310, "resnet56": 9339}
"""How many of the 10,000 test images each gets right, as its repository says."""

Precision = Literal["float32", "bfloat16"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BATCH = 100


class PublicResNet:
    """One of the networks, ready to classify.

    Args:
        folder: folder of the checkout.
        name: a key of CORRECT.
        precision: what `classify` computes in; the check is in float32 whatever it says.
    """

    def __init__(self, folder: Path, name: str, precision: Precision = "float32") -> None:
        self.name, self.precision = name, precision
        path = _weights(folder, name)
        self.digest = hashlib.sha256(path.read_bytes() + precision.encode()).hexdigest()[:12]
        saved = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        self._network = _network(folder, name)
        self._network.load_state_dict({key.removeprefix("module."): value for key, value in saved.items()})
        self._network.eval().to(memory_format=torch.channels_last)

    def classify(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Classes (N,) of uint8 images (N, 32, 32, 3)."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self._classify(images)

    @torch.inference_mode()
    def _classify(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        mean, std = (torch.tensor(values) for values in (_MEAN, _STD))
        classes: list[Tensor] = []
        for start in range(0, len(images), _BATCH):
            pixels = torch.tensor(images[start : start + _BATCH]).float().div_(255).sub_(mean).div_(std)
            classes.append(self._network(pixels.permute(0, 3, 1, 2)).argmax(1))
        return torch.cat(classes).numpy()

    def check(self, test: ImageSet) -> None:
        """Stop unless the network does on the real test set what its repository says."""
        correct = int((self._classify(test.images) == test.labels).sum())
        if len(test) != 10_000 or correct != CORRECT[self.name]:
            raise SystemExit(
                f"{self.name} classifies {correct} of {len(test)} test images correctly, not {CORRECT[self.name]} of "
                "10000: the weights, the network or the images are not the public ones."
            )


def folder(text: str) -> Path:
    """The checkout, for a command line."""
    path = Path(text).expanduser()
    if not (path / "resnet.py").is_file():
        raise ArgumentTypeError(
            f"{text} holds no resnet.py: clone the public repository akamaster/pytorch_resnet_cifar10"
        )
    return path


def _weights(folder: Path, name: str) -> Path:
    found = [path for place in ("", "pretrained_models") for path in sorted((folder / place).glob(f"{name}-*.th"))]
    if not found:
        raise SystemExit(f"{folder} holds no {name}-*.th, neither itself nor in pretrained_models.")
    return found[0]


def _network(folder: Path, name: str) -> nn.Module:
    """The network that `resnet.py` defines, with random weights."""
    specification = importlib.util.spec_from_file_location("public_resnet", folder / "resnet.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    network: nn.Module = getattr(module, name)()
    return network
