"""Every checkpoint shown every benchmark image; each image is made once for all of them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nsbench.attacks.fgsm import fgsm_sweep
from nsbench.checkpoints.record import CheckpointRecord
from nsbench.checkpoints.store import folder_of, load_network
from nsbench.config.resolve import fingerprint
from nsbench.config.schema import EvaluationConfig
from nsbench.corruptions.perturbations import frame_count
from nsbench.corruptions.spec import SEVERITIES
from nsbench.data.images import Dataset
from nsbench.networks.classifier import Classifier
from nsbench.networks.inference import batches, logits
from nsbench.predictions.sources import Source, Subset
from nsbench.predictions.store import Arrays, has_predictions, path_of, save_predictions
from nsbench.progress import Reporter, Task

BENCHMARKS = ("clean", "fgsm", "corruption", "perturbation")


def subset_size(limit: int, available: int) -> int:
    """Images used under a limit; 0 means all."""
    return min(limit, available) if limit else available


class Evaluation:
    """Collects the predictions of a run's checkpoints.

    Args:
        config: what to measure.
        dataset: whose test images.
        source: of corrupted and perturbed images.
        run: the run folder.
        device: where to compute.
    """

    def __init__(
        self, config: EvaluationConfig, dataset: Dataset, source: Source, run: Path, device: torch.device
    ) -> None:
        self.config, self.dataset, self.source, self.run, self.device = config, dataset, source, run, device

    def collect(self, checkpoints: list[CheckpointRecord], reporter: Reporter) -> None:
        """Make the predictions that are missing."""
        work: dict[str, Callable[[list[Classifier], Task], list[Arrays]]] = {
            "clean": self._clean,
            "fgsm": self._fgsm,
            "corruption": self._corruption,
            "perturbation": self._perturbation,
        }
        for benchmark in BENCHMARKS:
            missing = [record for record in checkpoints if not self._is_there(record, benchmark)]
            if not missing or not self._images_per_network(benchmark):
                continue
            networks = [load_network(folder_of(self.run, record), self.device) for record in missing]
            total = self._images_per_network(benchmark) * len(networks)
            with reporter.task(f"evaluate {benchmark}", total) as task:
                predictions = work[benchmark](networks, task)
                task.log(f"{len(networks)} networks")
            for record, arrays in zip(missing, predictions, strict=True):
                save_predictions(path_of(self.run, record, benchmark), arrays, self._fingerprint(record, benchmark))

    def _is_there(self, record: CheckpointRecord, benchmark: str) -> bool:
        return has_predictions(path_of(self.run, record, benchmark), self._fingerprint(record, benchmark))

    def _fingerprint(self, record: CheckpointRecord, benchmark: str) -> str:
        settings: dict[str, list[str]] = {
            "clean": [],
            "fgsm": [str(self.config.attack_images), *map(str, self.config.fgsm_epsilons)],
            "corruption": [
                str(self.config.corruption_images),
                self.source.identities["corruption"],
                *self.config.corruptions,
            ],
            "perturbation": [
                str(self.config.perturbation_images),
                self.source.identities["perturbation"],
                *self.config.perturbations,
            ],
        }
        return fingerprint(
            record.weights_sha256, self.dataset.checksum, benchmark, self.config.batch_size, settings[benchmark]
        )

    def _images_per_network(self, benchmark: str) -> int:
        per_image = {
            "clean": 1,
            "fgsm": len(self.config.fgsm_epsilons),
            "corruption": len(self.config.corruptions) * len(SEVERITIES),
            "perturbation": sum(frame_count(name) for name in self.config.perturbations),
        }
        return per_image[benchmark] * self._size(benchmark)

    def _size(self, benchmark: str) -> int:
        limits = {
            "clean": 0,
            "fgsm": self.config.attack_images,
            "corruption": self.config.corruption_images,
            "perturbation": self.config.perturbation_images,
        }
        return subset_size(limits[benchmark], len(self.dataset.test))

    def _subset(self, benchmark: str) -> Subset:
        size = self._size(benchmark)
        return Subset(
            torch.tensor(self.dataset.test.images[:size]).to(self.device),
            torch.tensor(self.dataset.test.labels[:size]).to(self.device),
        )

    def _clean(self, networks: list[Classifier], task: Task) -> list[Arrays]:
        subset = self._subset("clean")
        parts: list[list[Tensor]] = [[] for _ in networks]
        for rows in batches(len(subset), self.config.batch_size):
            for network, out in zip(networks, parts, strict=True):
                out.append(logits(network, subset.images[rows]))
                task.advance(rows.stop - rows.start)
        return [{"logits": torch.cat(out).cpu().numpy()} for out in parts]

    def _fgsm(self, networks: list[Classifier], task: Task) -> list[Arrays]:
        subset, epsilons = self._subset("fgsm"), self.config.fgsm_epsilons
        parts: list[list[tuple[Tensor, Tensor]]] = [[] for _ in networks]
        for rows in batches(len(subset), self.config.batch_size):
            part = subset.part(rows)
            for network, out in zip(networks, parts, strict=True):
                out.append(fgsm_sweep(network, part.images, part.labels, epsilons))
                task.advance(len(part) * len(epsilons))
        return [
            {
                "logits": torch.cat([attacked for attacked, _ in out], 1).cpu().numpy(),
                "zero_gradient": torch.cat([zero for _, zero in out]).cpu().numpy(),
            }
            for out in parts
        ]

    def _corruption(self, networks: list[Classifier], task: Task) -> list[Arrays]:
        subset = self._subset("corruption")
        cells: list[list[NDArray[np.uint8]]] = [[] for _ in networks]
        for name in self.config.corruptions:
            for severity in SEVERITIES:
                self._show(networks, cells, subset, partial(self.source.corrupted, name=name, severity=severity), task)
        shape = (len(self.config.corruptions), len(SEVERITIES), len(subset))
        return [{"predicted": np.stack(own).reshape(shape)} for own in cells]

    def _perturbation(self, networks: list[Classifier], task: Task) -> list[Arrays]:
        subset = self._subset("perturbation")
        results: list[Arrays] = [{} for _ in networks]
        for name in self.config.perturbations:
            found: list[list[NDArray[np.uint8]]] = [[] for _ in networks]
            self._show(networks, found, subset, partial(self._frames, name=name), task)
            for result, (frames,) in zip(results, found, strict=True):
                result[name] = frames.reshape(len(subset), frame_count(name))
        return results

    def _frames(self, part: Subset, name: str) -> Tensor:
        return self.source.sequences(part, name).flatten(0, 1)

    def _show(
        self,
        networks: list[Classifier],
        found: list[list[NDArray[np.uint8]]],
        subset: Subset,
        make: Callable[[Subset], Tensor],
        task: Task,
    ) -> None:
        """Append to each network's list its predicted classes of all images that `make` makes."""
        parts: list[list[Tensor]] = [[] for _ in networks]
        for rows in batches(len(subset), self.config.batch_size):
            images = make(subset.part(rows))
            for inner in batches(len(images), self.config.batch_size):
                for network, out in zip(networks, parts, strict=True):
                    out.append(logits(network, images[inner]).argmax(1).to(torch.uint8))
                    task.advance(inner.stop - inner.start)
        for own, out in zip(found, parts, strict=True):
            own.append(torch.cat(out).cpu().numpy())
