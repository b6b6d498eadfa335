"""The published generators of CIFAR-10-C and -P, run from a checkout of the public repository hendrycks/robustness.

Nothing of it is copied here. Its two scripts are read, the parts that define images are kept, names that libraries
have renamed or removed since are given back, and what it keeps in comments (all but one sequence) is uncommented. It
needs opencv-python-headless, Wand with ImageMagick's library, and scikit-image, which nsbench itself does without.

Random numbers come from the global generators of numpy and torch: seed them before each image.
"""

import importlib.metadata
import math
import re
import types
import warnings
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Convention = Literal["0.2", "modern"]
"""Convention of torchvision's affine transform: which point is the centre of an image, and what its shear means."""

CORRUPTIONS_SCRIPT = Path("ImageNet-C", "create_c", "make_cifar_c.py")
PERTURBATIONS_SCRIPT = Path("ImageNet-P", "create_p", "make_cifar_p.py")
LIBRARIES = ("numpy", "scipy", "scikit-image", "opencv-python-headless", "Wand", "pillow", "torch", "torchvision")

_EVERYWHERE = {
    "from skimage.filters import gaussian\n": "",  # our `gaussian` stands in: its `multichannel` was renamed
    "import torchvision.datasets as dset\n": "",
    "np.fromstring(": "np.frombuffer(",  # removed from numpy
}
_IN_CORRUPTIONS = _EVERYWHERE | {
    "from scipy.ndimage.interpolation import": "from scipy.ndimage import",  # removed from scipy
    "np.float_": "np.float64",  # removed from numpy
    "mode='s&p', amount=c": "mode='s&p', amount=c, rng=np.random.randint(2**31)",  # no longer by the global generator
}
_BLOCK = re.compile(r"^    # /+ ([A-Z]\w+(?: \w+)?) Code /+\n(.*?)^    # /+ End \1 Code /+$", re.DOTALL | re.MULTILINE)
_LOOP = "for i in range(1, 31):\n"
_LEVELS = ("gaussian_noise", "shot_noise", "speckle_noise")
"""Perturbations that come at three levels, one loop each."""


@dataclass(frozen=True)
class PublishedGenerators:
    """The published functions of one uint8 image (32, 32, 3)."""

    corruptions: Mapping[str, Callable[[Image.Image, int], Any]]
    """Name -> function of an image and a severity from 1 to 5."""
    perturbations: Mapping[str, Callable[[Pixels], list[Any]]]
    """Name -> function of an image that returns the frames."""

    def corrupt(self, image: Pixels, name: str, severity: int) -> Pixels:
        """The corrupted image, as its script stores it."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return np.uint8(self.corruptions[name](Image.fromarray(image), severity))  # type: ignore[return-value]  # of an array it is an array

    def sequence(self, image: Pixels, name: str) -> Pixels:
        """The frames (T, 32, 32, 3), as its script stores them."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return np.array(self.perturbations[name](image)).astype(np.uint8)


def folder(text: str) -> Path:
    """The checkout, for a command line."""
    path = Path(text).expanduser().resolve()
    missing = [str(script) for script in (CORRUPTIONS_SCRIPT, PERTURBATIONS_SCRIPT) if not (path / script).is_file()]
    if missing:
        raise ArgumentTypeError(
            f"{text} holds no {' and no '.join(missing)}: clone the public repository hendrycks/robustness"
        )
    return path


def load(path: Path, convention: Convention = "0.2") -> PublishedGenerators:
    """Make the published functions callable.

    Args:
        path: the checkout.
        convention: convention of the affine transform; the published files were made when torchvision was at 0.2.
    """
    return PublishedGenerators(_corruptions(path), _perturbations(path, convention))


def versions() -> dict[str, str]:
    """The libraries that the published functions use; they run without their files' versions being known."""
    from wand.version import MAGICK_VERSION  # type: ignore[import-not-found]  # only this comparison needs it

    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return found | {"ImageMagick": " ".join(MAGICK_VERSION.split()[1:3])}


def script_texts(path: Path) -> tuple[str, str]:
    """The two scripts of a checkout."""
    return tuple((path / script).read_text(encoding="utf-8") for script in (CORRUPTIONS_SCRIPT, PERTURBATIONS_SCRIPT))  # type: ignore[return-value]  # of two comes two


def _corruptions(path: Path) -> dict[str, Callable[[Image.Image, int], Any]]:
    """The functions of the first script, by their own names, which are the names of the files."""
    text = script_texts(path)[0]
    definitions, _, rest = text.partition("import collections\n")
    frost = {"'./frost": f"'{path / CORRUPTIONS_SCRIPT.parent}/frost"}
    names = re.findall(r"^d\['[^']+'\] = (\w+)$", rest, re.MULTILINE)
    found = _run(_patched(definitions, _IN_CORRUPTIONS | frost), str(CORRUPTIONS_SCRIPT))
    return {name: found[name] for name in names}


def _perturbations(path: Path, convention: Convention) -> dict[str, Callable[[Pixels], list[Any]]]:
    """A function of each block of the second script's loop."""
    text = _patched(script_texts(path)[1], _EVERYWHERE)
    definitions, _, loop = text.partition("test_data = ")
    space = _run(definitions, str(PERTURBATIONS_SCRIPT))
    space["trn_F"] = types.SimpleNamespace(affine=affine if convention == "0.2" else modern_affine)
    blocks = {title.lower().replace(" ", "_"): _uncommented(body) for title, body in _BLOCK.findall(loop)}
    bodies = {name: body for name, body in blocks.items() if name not in _LEVELS}
    for name in _LEVELS:
        first, *levels = blocks[name].split(_LOOP)
        bodies |= {f"{name}_{level}": first + _LOOP + body for level, body in enumerate(levels, start=1)}
        bodies[name] = bodies.pop(f"{name}_1")
    return {name: _function(name, body, space) for name, body in bodies.items()}


def _patched(text: str, patches: Mapping[str, str]) -> str:
    """`text` with each patch made, and each found."""
    for old, new in patches.items():
        if old not in text:
            raise SystemExit(
                f"The checkout of hendrycks/robustness is not the one known here: it does not contain {old.strip()!r}."
            )
        text = text.replace(old, new)
    return text


def _uncommented(body: str) -> str:
    """A block of the loop, less its indentation and the marks of a comment."""
    return "".join(re.sub(r"^    (# ?)?", "", line) for line in body.splitlines(keepends=True))


def _function(name: str, body: str, space: dict[str, Any]) -> Callable[[Pixels], list[Any]]:
    """A function of an image that runs `body`, which fills `seq`."""
    lines = ["seq = []", *body.splitlines(), "return seq"]
    text = "def sequence(img):\n" + "\n".join(f"    {line}" for line in lines)
    made: Callable[[Pixels], list[Any]] = _run(text, f"{PERTURBATIONS_SCRIPT}, {name}", dict(space))["sequence"]
    return made


def _run(text: str, name: str, space: dict[str, Any] | None = None) -> dict[str, Any]:
    """The names that `text` defines."""
    space = {"gaussian": gaussian} if space is None else space
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(text, name, "exec"), space)  # noqa: S102 - running the published code is what this module is for
    return space


def gaussian(image: NDArray[Any], sigma: float = 1, multichannel: bool = False, **options: Any) -> NDArray[Any]:
    """scikit-image's blur under the arguments it had."""
    from skimage.filters import gaussian as blur  # type: ignore[import-not-found]  # only this comparison needs it

    blurred: NDArray[Any] = blur(image, sigma=sigma, channel_axis=-1 if multichannel else None, **options)
    return blurred


def affine(
    image: Image.Image, angle: float, translate: tuple[float, float], scale: float, shear: float, resample: int = 0
) -> Image.Image:
    """Torchvision's affine transform as in its version 0.2, angles in degrees.

    The centre is (width + 1) / 2, half a pixel beyond that of later versions, and the linear map is
    scale * [[cos a, -sin(a + s)], [sin a, cos(a + s)]] with angle a and a single shear s. Pillow wants the inverse map.
    """
    turn, lean = math.radians(angle), math.radians(shear)
    determinant = math.cos(turn + lean) * math.cos(turn) + math.sin(turn + lean) * math.sin(turn)
    factor = 1.0 / scale / determinant
    rows = (math.cos(turn + lean), math.sin(turn + lean)), (-math.sin(turn), math.cos(turn))
    centre = [side * 0.5 + 0.5 for side in image.size]
    moved = [-middle - shift for middle, shift in zip(centre, translate, strict=True)]
    inverse: list[float] = []
    for row, middle in zip(rows, centre, strict=True):
        along, across = (factor * value for value in row)
        inverse += [along, across, along * moved[0] + across * moved[1] + middle]
    return image.transform(image.size, Image.Transform.AFFINE, inverse, Image.Resampling(resample))


def modern_affine(
    image: Image.Image, angle: float, translate: tuple[float, float], scale: float, shear: float, resample: int = 0
) -> Image.Image:
    """Torchvision's affine transform as it is now."""
    from torchvision.transforms import functional  # type: ignore[import-untyped]  # torchvision ships no types

    mode = functional.InterpolationMode.BILINEAR if resample else functional.InterpolationMode.NEAREST
    moved: Image.Image = functional.affine(image, angle, list(translate), scale, [shear, 0.0], interpolation=mode)
    return moved
