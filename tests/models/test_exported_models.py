"""Exported programs of a user's, which are trusted here; test_trust.py has those that are not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nsbench.models.subject import Subject
from tests.models.conftest import exported

One = Callable[..., Subject]
Refusal = Callable[..., str]
Logits = Callable[[Subject, Tensor], Tensor]


def test_an_exported_program_computes_what_its_network_does(
    program: Path, small: nn.Module, pixels: Tensor, one: One, logits: Logits
) -> None:
    subject = one(program)
    torch.testing.assert_close(logits(subject, pixels), small(pixels))
    torch.testing.assert_close(logits(subject, pixels[:1]), small(pixels[:1]))
    assert (subject.name, subject.record.kind, subject.record.source) == ("net", "exported", "net.pt2")
    assert subject.record.parameters == sum(parameter.numel() for parameter in small.parameters())


def test_gradients_reach_the_images_of_an_exported_program(program: Path, pixels: Tensor, one: One) -> None:
    subject = one(program)
    images = pixels.clone().requires_grad_()
    out = subject.load(torch.device("cpu"))(images)
    (gradient,) = torch.autograd.grad(out[:, 0].sum(), images)
    assert subject.differentiable
    assert bool(gradient.abs().sum() > 0)


def test_a_fixed_batch_size_is_reported(small: nn.Module, tmp_path: Path, refusal: Refusal) -> None:
    path = exported(small, tmp_path / "net.pt2", dynamic=False)
    assert "takes batches of exactly 2 images" in refusal(path)


def test_a_file_that_is_no_program_or_arrived_in_part_is_reported(
    program: Path, tmp_path: Path, refusal: Refusal
) -> None:
    path, whole = tmp_path / "net.pt2", program.read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-20]):
        path.write_bytes(content)
        assert "net.pt2 cannot be opened by PyTorch" in refusal(path)
    torch.save({"a": torch.zeros(1)}, path)
    assert "fetch it again if it is damaged, else export it again with this version." in refusal(path)


def test_torch_logs_nothing_of_a_program_that_it_cannot_open(
    tmp_path: Path, refusal: Refusal, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(b"nonsense")
    assert "net.pt2 cannot be opened by PyTorch" in refusal(path)
    assert capfd.readouterr().err == ""


def test_a_missing_file_is_reported_with_the_nearest(program: Path, refusal: Refusal) -> None:
    assert f"did you mean {program}?" in refusal(program.with_name("nett.pt2"))
