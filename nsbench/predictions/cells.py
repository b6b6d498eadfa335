"""The cells of an evaluation, by kind: each shows its images to a network and keeps what the network said.

Images are made once for all networks, a chunk at a time; see `nsbench.predictions.store` for what is kept.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor, nn

from nsbench.attacks.fgsm import fgsm_sweep, paper_fgsm_sweep
from nsbench.attacks.worst_case import attack
from nsbench.config.evaluation import AttackName, EvaluationConfig
from nsbench.config.resolve import fingerprint
from nsbench.networks.inference import BatchSize, logits
from nsbench.predictions.cell import CHUNK, FINITE, Cell, Part, are_numbers
from nsbench.predictions.further import Corruptions
from nsbench.predictions.kinds import FAST, class_dtype
from nsbench.predictions.shown import GENERATED_SEED, BenchmarkImages, Subset
from nsbench.predictions.store import corruption_cell, further_cell, perturbation_cell
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P


class Clean(Cell):
    """Logits of images as they are."""

    def __init__(self, name: str, subset: Subset, image_identity: str, benchmark: str = "") -> None:
        super().__init__(name, benchmark or name, subset, image_identity)

    def show(self, network: nn.Module, images: Tensor, part: Subset, batch: BatchSize) -> Part:  # noqa: ARG002
        """Logits (n, K)."""
        return {"logits": torch.cat(batch.over(len(images), lambda rows: logits(network, images[rows])))}


class Fast(Cell):
    """Classes of clean images in bfloat16, to show how far it disagrees with float32."""

    folded = True  # as the cells are that it speaks for

    def __init__(self, subset: Subset, image_identity: str) -> None:
        super().__init__(FAST, "clean", subset, image_identity)

    def show(self, network: nn.Module, images: Tensor, part: Subset, batch: BatchSize) -> Part:  # noqa: ARG002
        """Classes (n,)."""
        return _joined(batch.over(len(images), lambda rows: _classes(network, images[rows], fast=True)))


class Fgsm(Cell):
    """Logits under the FGSM sweep."""

    attacks = True

    def __init__(
        self, subset: Subset, image_identity: str, epsilons: tuple[float, ...], *, paper: bool = False
    ) -> None:
        name = "paper_fgsm" if paper else "fgsm"
        super().__init__(name, name, subset, image_identity, len(epsilons))
        self.epsilons, self.paper = epsilons, paper

    def settings(self) -> tuple[str, ...]:
        """The strengths."""
        return tuple(map(str, self.epsilons))

    def show(self, network: nn.Module, images: Tensor, part: Subset, batch: BatchSize) -> Part:
        """Logits (E, n, K) and zero gradients (n,)."""
        sweep = paper_fgsm_sweep if self.paper else fgsm_sweep
        found = batch.over(len(part), lambda rows: sweep(network, images[rows], part.labels[rows], self.epsilons))
        return {
            "logits": torch.cat([attacked for attacked, _ in found], 1),
            "zero_gradient": torch.cat([zero for _, zero in found]),
        }

    def axis(self, key: str) -> int:
        """Logits come after strengths."""
        return 1 if key == "logits" else 0


class Attacked(Cell):
    """Logits under one of the stronger attacks."""

    attacks = True

    def __init__(self, name: AttackName, subset: Subset, image_identity: str, config: EvaluationConfig) -> None:
        super().__init__(name, name, subset, image_identity, len(config.attack_epsilons))
        self.attack_name: AttackName = name
        self.epsilons, self.steps, self.restarts = config.attack_epsilons, config.attack_steps, config.attack_restarts

    def settings(self) -> tuple[str, ...]:
        """Strengths, steps and restarts."""
        return (*map(str, self.epsilons), f"{self.steps} steps", f"{self.restarts} restarts")

    def show(self, network: nn.Module, images: Tensor, part: Subset, batch: BatchSize) -> Part:
        """Logits (E, n, K)."""

        def work(rows: slice) -> Tensor:
            return attack(
                self.attack_name,
                network,
                images[rows],
                part.labels[rows],
                self.epsilons,
                steps=self.steps,
                restarts=self.restarts,
                indices=part.indices[rows],
                seed=GENERATED_SEED,
            )

        return {"logits": torch.cat(batch.over(len(part), work), 1)}

    def axis(self, key: str) -> int:  # noqa: ARG002  # there is one array
        """Logits come after strengths."""
        return 1


class Corrupted(Cell):
    """Predicted classes and their confidence on one corruption at one severity."""

    folded = True

    def __init__(
        self,
        name: str,
        severity: int,
        subset: Subset,
        image_identity: str,
        source: BenchmarkImages | Corruptions,
        *,
        fast: bool = False,
    ) -> None:
        if isinstance(source, BenchmarkImages):
            cell, benchmark, made = corruption_cell(name, severity), "corruption", source.identity("corruption", name)
        else:
            benchmark, made = source.protocol.name, source.identity(name, severity)
            cell = further_cell(benchmark, name, severity)
        super().__init__(cell, benchmark, subset, fingerprint(image_identity, made, severity))
        self.corruption, self.severity, self.source, self.reads = name, severity, source, source.reads
        self.fast = fast

    def settings(self) -> tuple[str, ...]:
        """The arithmetic, where it is not the reference."""
        return ("bfloat16",) * self.fast

    def make(self, part: Subset) -> Tensor:
        """Corrupted images."""
        return self.source.corrupted(part, self.corruption, self.severity)

    def show(self, network: nn.Module, images: Tensor, part: Subset, batch: BatchSize) -> Part:  # noqa: ARG002
        """Classes and confidences (n,)."""

        def work(rows: slice) -> Part:
            found = logits(network, images[rows], fast=self.fast)
            confidence, predicted = found.softmax(1).max(1)
            return {
                "predicted": _narrow(predicted, found.shape[1]),
                "confidence": confidence,
                FINITE: are_numbers(found),
            }

        return _joined(batch.over(len(images), work))


class Perturbed(Cell):
    """Predicted classes on the frames of one perturbation."""

    folded = True

    def __init__(
        self, name: str, subset: Subset, image_identity: str, source: BenchmarkImages, *, fast: bool = False
    ) -> None:
        image_identity = fingerprint(image_identity, source.identity("perturbation", name))
        super().__init__(perturbation_cell(name), "perturbation", subset, image_identity, CIFAR10_P.member(name).frames)
        self.perturbation, self.source, self.reads = name, source, source.reads
        self._frames, self.fast = self.passes, fast

    def settings(self) -> tuple[str, ...]:
        """The arithmetic, where it is not the reference."""
        return ("bfloat16",) * self.fast

    def make(self, part: Subset) -> Tensor:
        """The frames of all sequences, one after the other."""
        return self.source.sequences(part, self.perturbation).flatten(0, 1)

    def show(self, network: nn.Module, images: Tensor, part: Subset, batch: BatchSize) -> Part:
        """Classes (n, T)."""
        found = _joined(batch.over(len(images), lambda rows: _classes(network, images[rows], fast=self.fast)))
        return {name: values.reshape(len(part), self._frames) for name, values in found.items()}


def _classes(network: nn.Module, images: Tensor, *, fast: bool) -> Part:
    found = logits(network, images, fast=fast)
    return {"predicted": _narrow(found.argmax(1), found.shape[1]), FINITE: are_numbers(found)}


def _joined(batches: list[Part]) -> Part:
    return {name: torch.cat([one[name] for one in batches]) for name in batches[0]}


def _narrow(predicted: Tensor, classes: int) -> Tensor:
    """Predicted classes in the type that they are stored in."""
    kind: torch.dtype = getattr(torch, class_dtype(classes).name)
    return predicted.to(kind)


def _checksum(subset: Subset) -> str:
    """SHA-256 of the images' pixels."""
    found = hashlib.sha256()
    for part in subset.parts(CHUNK):
        found.update(part.images.cpu().numpy().tobytes())
    return found.hexdigest()


def cells(
    config: EvaluationConfig,
    test: Subset,
    held_out: Subset | None,
    image_identity: str,
    source: BenchmarkImages,
    further: Sequence[Corruptions] = (),
) -> Iterator[Cell]:
    """Every cell that a configuration asks for, in the order of work.

    Args:
        config: what to measure.
        test: all test images.
        held_out: labelled images that no model has seen, to fit temperatures on.
        image_identity: identity of the data set.
        source: source of corrupted and perturbed images.
        further: sets of corruptions beside these.
    """
    fast = config.precision == "bfloat16"
    yield Clean("clean", test, image_identity)
    if fast:
        yield Fast(test, image_identity)
    if held_out is not None:
        yield Clean("held-out", held_out, _checksum(held_out))
    attacked = first(test, config.attack_images)
    if config.fgsm_epsilons:
        yield Fgsm(attacked, image_identity, config.fgsm_epsilons)
        if config.paper_fgsm:
            yield Fgsm(attacked, image_identity, config.fgsm_epsilons, paper=True)
    for attack_name in config.attacks:
        yield Attacked(attack_name, first(test, config.strong_attack_images), image_identity, config)
    for name, severity in product(config.corruptions, CIFAR10_C.severities):
        yield Corrupted(name, severity, first(test, config.corruption_images), image_identity, source, fast=fast)
    for moving in config.perturbations:
        yield Perturbed(moving, first(test, config.perturbation_images), image_identity, source, fast=fast)
    for one in further:
        for member, severity in product(one.protocol.names, one.protocol.severities):
            yield Corrupted(member, severity, first(test, config.corruption_images), image_identity, one, fast=fast)


def first(test: Subset, limit: int) -> Subset:
    """The first test images; all where the limit is 0."""
    return test.part(slice(0, subset_size(limit, len(test))))


def subset_size(limit: int, available: int) -> int:
    """Images used under a limit; 0 means all."""
    return min(limit, available) if limit else available
