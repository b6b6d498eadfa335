"""How the comparison of generators reads the published code and the public networks."""

import importlib
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nsbench.data.images import ImageSet

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def script(name: str) -> Any:
    return importlib.import_module(name)


@pytest.mark.parametrize(("angle", "scale", "shear"), [(7, 1.0, 0), (0, 0.8, 0), (0, 1.0, -9), (4, 1.1, 6)])
def test_the_old_affine_transform_is_the_inverse_of_its_forward_map(angle: float, scale: float, shear: float) -> None:
    turn, lean = np.deg2rad([angle, shear])
    linear = scale * np.array([[np.cos(turn), -np.sin(turn + lean)], [np.sin(turn), np.cos(turn + lean)]])
    forward = np.eye(3)
    forward[:2, :2] = linear
    forward[:2, 2] = 16.5 - linear @ [16.5, 16.5]
    image = Image.fromarray(np.random.default_rng(6).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    inverse = np.linalg.inv(forward).ravel()[:6].tolist()
    expected = image.transform((32, 32), Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR)
    found = script("published_generators").affine(image, angle, (0, 0), scale, shear, Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(found, int) - np.asarray(expected, int)).max() <= 1


CORRUPTIONS_TEXT = """import torchvision.datasets as dset
import numpy as np
from skimage.filters import gaussian
from scipy.ndimage.interpolation import map_coordinates

def darken(x, severity=1):
    return np.float_(np.array(x)) / severity

def salt(x, severity=1):
    return np.fromstring(bytes(3), np.uint8) + len('./frost') * 0, dict(mode='s&p', amount=c)

import collections
d = collections.OrderedDict()
d['Darker Image'] = darken
"""
PERTURBATIONS_TEXT = """import numpy as np
import torchvision.datasets as dset
from skimage.filters import gaussian
test_data = dset.CIFAR10('/somewhere')
for img, label in zip(test_data.data, test_data.targets):
    seq = []

    # /////////////// Gaussian Noise Code ///////////////

    seq.append(img)

    for i in range(1, 31):
        seq.append(img + 1)

    # for i in range(1, 31):
    #     seq.append(img + 2)

    # for i in range(1, 31):
    #     seq.append(img + 3)

    # /////////////// End Gaussian Noise Code ///////////////
{others}
    # /////////////// Tilt Code ///////////////

    # for i in range(0, 4):
    #     z = np.fromstring(img.tobytes(), np.uint8).reshape(img.shape)
    #
    #     seq.append(z + i)

    # /////////////// End Tilt Code ///////////////

    cifar_p.append(seq)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two scripts in the form of the published ones."""
    published = script("published_generators")
    other = """
    # /////////////// {0} Noise Code ///////////////
    # seq.append(img)
    # for i in range(1, 31):
    #     seq.append(img)
    # /////////////// End {0} Noise Code ///////////////
"""
    others = "".join(other.format(title) for title in ("Shot", "Speckle"))
    texts = (CORRUPTIONS_TEXT, PERTURBATIONS_TEXT.replace("{others}", others))
    for path, text in zip((published.CORRUPTIONS_SCRIPT, published.PERTURBATIONS_SCRIPT), texts, strict=True):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def test_published_scripts_become_functions(checkout: Path) -> None:
    published = script("published_generators")
    generators = published.load(published.folder(str(checkout)))
    image = np.full((2, 2, 3), 90, dtype=np.uint8)
    assert (generators.corrupt(image, "darken", 4) == 22).all()
    assert set(generators.corruptions) == {"darken"}
    assert [frame.item(0) for frame in generators.sequence(image, "tilt")] == [90, 91, 92, 93]
    for level, name in enumerate(("gaussian_noise", "gaussian_noise_2", "gaussian_noise_3"), start=1):
        assert [frame.item(0) for frame in generators.sequence(image, name)] == [90] + [90 + level] * 30


def test_a_checkout_that_is_not_the_known_one_is_refused(checkout: Path, tmp_path: Path) -> None:
    published = script("published_generators")
    path = checkout / published.CORRUPTIONS_SCRIPT
    path.write_text(CORRUPTIONS_TEXT.replace("np.float_", "float"), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"not the one known here: it does not contain 'np.float_'"):
        published.load(checkout)
    with pytest.raises(ArgumentTypeError, match="clone the public repository hendrycks/robustness"):
        published.folder(str(tmp_path / "ImageNet-C"))


RESNET_TEXT = """
from torch import nn

def resnet20():
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
"""


@pytest.mark.parametrize(("images", "correct"), [(10_000, 9172), (250, 30)])
def test_a_network_that_does_not_do_what_its_repository_says_is_refused(
    tmp_path: Path, images: int, correct: int
) -> None:
    public = script("public_resnets")
    (tmp_path / "resnet.py").write_text(RESNET_TEXT, encoding="utf-8")
    saved = {"module.1.weight": torch.zeros(10, 3072), "module.1.bias": torch.arange(10.0)}
    (tmp_path / "pretrained_models").mkdir()
    torch.save({"state_dict": saved}, tmp_path / "pretrained_models" / "resnet20-0.th")
    network = public.PublicResNet(public.folder(str(tmp_path)), "resnet20")
    pixels = np.zeros((images, 32, 32, 3), dtype=np.uint8)
    labels = np.where(np.arange(images) < correct, 9, 1)
    with pytest.raises(SystemExit, match=f"resnet20 classifies {correct} of {images} test images correctly, not 9173"):
        network.check(ImageSet(pixels, labels))
    if images == 10_000:
        labels[correct] = 9
        network.check(ImageSet(pixels, labels))
