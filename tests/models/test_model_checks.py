"""What is tried on a few images before an evaluation."""

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nsbench.errors import UserError
from nsbench.models.check import check_model
from nsbench.models.in_memory import InMemory

CLASSES = 10
COUNT = 60


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(256, (COUNT, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def good() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 5, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(196, CLASSES)
    ).eval()


class Changed(nn.Module):
    """A good network with something done to its output."""

    def __init__(self, network: nn.Module, change: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.network, self.change = network, change

    def forward(self, pixels: Tensor) -> object:
        """Whatever the change makes of the logits."""
        return self.change(self.network(pixels))


def checked(network: nn.Module, images: Tensor, labels: Tensor | None = None, classes: int = CLASSES) -> list[str]:
    """Warnings about a network, its own answers being right unless labels say otherwise."""
    subject = InMemory("net", network, inside=True)
    loaded = subject.load(torch.device("cpu"))
    if labels is None:
        with torch.inference_mode():
            labels = loaded(images.permute(0, 3, 1, 2) / 255).argmax(1)
    return check_model(subject, loaded, images, labels, classes)


def test_a_good_network_gives_no_warning(good: nn.Module, images: Tensor) -> None:
    assert checked(good, images) == []


@pytest.mark.parametrize(
    ("change", "stated"),
    [
        (lambda out: (out, out), "gives a tuple of 2 instead of one tensor of logits"),
        (lambda out: {"logits": out, "aux": out}, "gives a dictionary (logits, aux) instead of one tensor"),
        (lambda _: None, "gives a value of type NoneType"),
        (lambda out: out[:, :, None], "gives a tensor of shape (60, 10, 1) for 60 images"),
        (lambda out: out[:3], "gives a tensor of shape (3, 10) for 60 images"),
        (lambda out: out[:, :7], "gives 7 classes, but the data set has 10"),
        (lambda out: out.where(torch.arange(len(out))[:, None] != 5, torch.nan), "NaN or infinite for 1 of 60 images"),
        (lambda out: out / 0, "NaN or infinite for 60 of 60 images"),
        (lambda out: out.double() * 1e300, "NaN or infinite for 60 of 60 images (as float32)"),
        (lambda out: out.int(), "gives a tensor of int32 (dense): return dense floating-point logits"),
        (lambda out: out.to(torch.complex64), "gives a tensor of complex64"),
        (lambda out: out.to_sparse(), "gives a tensor of float32 (sparse)"),
        (lambda _: sys.exit(0), "fails on 60 images of 32 x 32 pixels (SystemExit: 0)"),
    ],
)
def test_an_output_that_is_not_one_finite_logit_per_class_is_reported(
    good: nn.Module, images: Tensor, change: Callable[[Tensor], object], stated: str
) -> None:
    with pytest.raises(UserError) as caught:
        checked(Changed(good, change), images, torch.zeros(COUNT, dtype=torch.long))
    assert stated in str(caught.value)
    assert str(caught.value).startswith("net ")
    assert "\n" not in str(caught.value)


def test_a_network_for_images_of_another_size_is_reported_with_its_own_words(images: Tensor) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, CLASSES))
    with pytest.raises(UserError, match=r"net fails on 60 images of 32 x 32 pixels \(RuntimeError: .*mat1 and mat2"):
        checked(network, images, torch.zeros(COUNT))


def test_a_module_that_stays_in_training_mode_is_named(good: nn.Module, images: Tensor) -> None:
    class Stuck(nn.Dropout):
        def train(self, mode: bool = True) -> "Stuck":
            self.training = self.training or mode
            return self

    with pytest.raises(UserError, match=r"training mode after eval\(\) \(first in network\.1\)"):
        checked(nn.Sequential(good, Stuck()), images, torch.zeros(COUNT))


def test_batch_statistics_in_evaluation_are_noticed_by_what_company_changes(images: Tensor) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 5, 4), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(), nn.Linear(196, CLASSES)
    )
    with pytest.raises(UserError, match="gives an image different logits in another batch"):
        checked(network, images)


def test_dropout_in_evaluation_is_noticed_by_asking_twice(good: nn.Module, images: Tensor) -> None:
    with pytest.raises(UserError, match="not deterministic"):
        checked(Changed(good, lambda out: functional.dropout(out, 0.01)), images, torch.zeros(COUNT))


def test_a_network_that_writes_to_its_images_is_not_said_to_have_dropout(good: nn.Module, images: Tensor) -> None:
    class InPlace(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            return pixels.sub_(0.5)

    with pytest.raises(UserError, match="net writes to the images that it is given: let it work on new tensors"):
        checked(nn.Sequential(InPlace(), good), images, torch.zeros(COUNT))


def test_nan_when_asked_again_is_noticed(good: nn.Module, images: Tensor) -> None:
    answers = iter([1.0, torch.nan])
    with pytest.raises(UserError, match="not deterministic"):
        checked(Changed(good, lambda out: out * next(answers)), images, torch.zeros(COUNT))


def test_a_network_that_fails_where_a_gradient_is_asked_for_is_warned_of(good: nn.Module, images: Tensor) -> None:
    (warning,) = checked(Changed(good, lambda out: sys.exit(1) if out.requires_grad else out), images)
    assert "no gradient reaches its images" in warning


def test_probabilities_are_warned_of_and_log_probabilities_are_not(good: nn.Module, images: Tensor) -> None:
    (warning,) = checked(Changed(good, lambda out: out.softmax(1)), images)
    assert "look like probabilities, not logits" in warning
    assert checked(Changed(good, lambda out: out.log_softmax(1)), images) == []


def test_accuracy_near_chance_is_warned_of(good: nn.Module, images: Tensor) -> None:
    labels = torch.arange(COUNT) % CLASSES
    (warning,) = checked(good, images, labels)
    assert "of 60 clean images are right, which is near chance (10 %)" in warning


def test_accuracy_well_above_chance_is_not_warned_of(good: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        labels = good(images.permute(0, 3, 1, 2) / 255).argmax(1)
    labels[: COUNT // 2] = (labels[: COUNT // 2] + 1) % CLASSES
    assert checked(good, images, labels) == []


def test_a_network_without_gradients_is_warned_of(good: nn.Module, images: Tensor) -> None:
    (warning,) = checked(Changed(good, lambda out: out.detach()), images)
    assert "no gradient reaches its images" in warning


def test_running_out_of_memory_is_not_called_a_wrong_size(good: nn.Module, images: Tensor) -> None:
    def fail(_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        checked(Changed(good, fail), images, torch.zeros(COUNT))
