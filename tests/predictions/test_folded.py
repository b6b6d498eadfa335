"""Which images are shown to a network without its batch normalisation, and that its predictions do not show it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nsbench.api import evaluate
from nsbench.corruptions.corruptions import corrupt
from nsbench.data.load import load_dataset
from nsbench.networks.inference import predict_logits, to_float
from nsbench.predictions.store import Stored

FEW = {
    "digits-c": {"corruptions": ("contrast",), "corruption_images": 30},
    "digits-p": {"perturbations": ("translate",), "perturbation_images": 4},
    "fgsm": {"fgsm_epsilons": (0.1,), "attack_images": 20},
}
EXAMPLES = 2 * 2
"""Images that pass a normalisation to see that it can be folded: two, twice."""


class Counted(nn.BatchNorm2d):
    """Counts the images that any copy of it normalises."""

    seen = 0

    def forward(self, images: Tensor) -> Tensor:
        """As ever."""
        Counted.seen += len(images)
        return super().forward(images)


def network(norm: type[nn.BatchNorm2d]) -> nn.Module:
    """Its normalisation has weights and statistics unlike those it begins with."""
    torch.manual_seed(3)
    normalised = norm(4)
    normalised.running_mean, normalised.running_var = torch.randn(4), torch.rand(4) + 0.5
    nn.init.uniform_(normalised.weight, 0.5, 2)
    return nn.Sequential(nn.Conv2d(3, 4, 5, 4), normalised, nn.ReLU(), nn.Flatten(), nn.Linear(196, 10)).eval()


def measure(folder: Path, norm: type[nn.BatchNorm2d], *on: str, precision: str = "float32") -> int:
    """Images that were normalised."""
    Counted.seen = 0
    few = {key: value for name in on for key, value in FEW.get(name, {}).items()}
    settings = {"bootstrap_resamples": 100, "precision": precision, **few}
    models = {"net": network(norm)}
    evaluate(models, folder, data_set="digits", on=on, inside=True, device="cpu", quiet=True, **settings)
    return Counted.seen


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_corrupted_and_perturbed_images_pass_no_normalisation(tmp_path: Path, precision: str) -> None:
    assert measure(tmp_path, Counted, "clean", precision=precision) > 500
    assert measure(tmp_path, Counted, "clean", "digits-c", "digits-p", precision=precision) == EXAMPLES
    stored = Stored(tmp_path, "net")
    assert stored.load("corruption/contrast-5")["predicted"].shape == (30,)
    assert len(stored.load("perturbation/translate")["predicted"]) == 4


def test_attacks_see_the_network_as_it_is(tmp_path: Path) -> None:
    measure(tmp_path, Counted, "clean")
    assert measure(tmp_path, Counted, "clean", "fgsm") >= 20


def test_predictions_are_those_of_the_network_as_it_is(tmp_path: Path) -> None:
    measure(tmp_path, nn.BatchNorm2d, "clean", "digits-c")
    stored, plain = Stored(tmp_path, "net"), network(nn.BatchNorm2d)
    test = load_dataset("digits", None).test
    clean = predict_logits(plain, test.images, torch.device("cpu"), 0)
    assert np.array_equal(stored.load("clean")["logits"], clean)
    shown = corrupt(torch.tensor(test.images[:30]), "contrast", 3, indices=torch.arange(30))
    with torch.no_grad():
        confidence, predicted = plain(to_float(shown)).softmax(1).max(1)
    found = stored.load("corruption/contrast-3")
    assert np.array_equal(found["predicted"], predicted)
    assert np.allclose(found["confidence"], confidence, atol=1e-6, rtol=0)
