"""The record of a run, put together from its checkpoints and predictions."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.checkpoints.stages import warnings_of
from nsbench.config.schema import Config, EvaluationConfig
from nsbench.data.images import Dataset
from nsbench.data.splits import Split
from nsbench.metrics.calibration import reliability_bins
from nsbench.metrics.classification import confusion_matrix, softmax
from nsbench.metrics.corruption import SEVERITIES, corruption_set
from nsbench.metrics.declared import DeclaredSet
from nsbench.metrics.perturbation import perturbation_set
from nsbench.predictions.collect import BENCHMARKS, subset_size
from nsbench.predictions.samples import shown_frames
from nsbench.predictions.sources import Source
from nsbench.predictions.store import Arrays, load_predictions, path_of
from nsbench.results import measure
from nsbench.results.record import (
    BenchmarkSet,
    DatasetRecord,
    Diagnostics,
    Measurement,
    Provenance,
    ReliabilityBin,
    Results,
    SampleImage,
)
from nsbench.results.resampling import Resampler

Predictions = dict[str, Arrays]


def assemble(
    config: Config,
    dataset: Dataset,
    split: Split,
    source: Source,
    run: Path,
    records: list[CheckpointRecord],
    provenance: Provenance,
) -> Results:
    """Measure every checkpoint and describe the run.

    Args:
        config: the run.
        dataset: its images.
        split: which of them were labelled.
        source: of corrupted and perturbed images.
        run: the run folder with `predictions/`.
        records: the checkpoints, one of them the baseline.
        provenance: software and hardware.
    """
    (baseline,) = (record for record in records if record.role == "baseline")
    benchmarks = benchmark_sets(config.evaluation, source, len(dataset.test))
    kinds = [benchmark.kind for benchmark in benchmarks]
    found = {str(record): _load(run, record, kinds) for record in records}
    assembler = _Assembler(config, dataset.test.labels, found, baseline)
    by_name = {str(record): record for record in records}
    return Results(
        name=config.name,
        config=config.model_dump(mode="json"),
        data=_dataset_record(dataset, split),
        provenance=provenance,
        baseline=str(baseline),
        checkpoints=records,
        benchmarks=benchmarks,
        measurements=[number for record in records for number in assembler.measurements(record, by_name)],
        diagnostics=[assembler.diagnostics(record) for record in records],
        samples=list(_samples(config)),
        warnings=[sentence for record in records for sentence in warnings_of(record, dataset.classes)],
    )


class _Assembler:
    """All measurements of each checkpoint, from one set of resamples."""

    def __init__(
        self, config: Config, labels: np.ndarray, found: dict[str, Predictions], baseline: CheckpointRecord
    ) -> None:
        self.settings, self.labels, self.found, self.baseline = config.evaluation, labels, found, baseline
        self.resampler = Resampler(config.evaluation.bootstrap_resamples, config.seed)
        self.wrong = {name: own["clean"]["logits"].argmax(1) != labels for name, own in found.items()}

    def measurements(self, record: CheckpointRecord, by_name: dict[str, CheckpointRecord]) -> Iterator[Measurement]:
        """Every number of one checkpoint."""
        own, wrong = self.found[str(record)], self.wrong[str(record)]
        everything = len(self.labels)
        author = measure.Author(record, everything)
        logits = own["clean"]["logits"]
        yield from measure.clean(author, logits, self.labels, self.resampler, self.settings.calibration_bins)
        for other in opponents(record, by_name, self.baseline):
            paired = measure.Author(record, everything, by_name[other])
            yield from measure.difference(paired, wrong, self.wrong[other], self.resampler)
        if "fgsm" in own:
            n = own["fgsm"]["logits"].shape[1]
            yield from measure.fgsm(
                measure.Author(record, n),
                own["fgsm"],
                wrong[:n],
                self.labels[:n],
                self.settings.fgsm_epsilons,
                self.resampler,
            )
        if "corruption" in own:
            outcome = self._corruption_outcome(str(record))
            relative = measure.Author(record, own["corruption"]["predicted"].shape[2], self.baseline)
            base = self._corruption_outcome(str(self.baseline))
            yield from measure.corruptions(relative, outcome, base, self.settings.corruptions)
        if "perturbation" in own:
            names = self.settings.perturbations
            relative = measure.Author(record, len(own["perturbation"][names[0]]), self.baseline)
            base_flips = self.found[str(self.baseline)]["perturbation"]
            yield from measure.perturbations(relative, own["perturbation"], base_flips, names, self.resampler)

    def _corruption_outcome(self, name: str) -> measure.CorruptionOutcome:
        predicted = self.found[name]["corruption"]["predicted"]
        n = predicted.shape[2]
        return measure.corruption_outcome(predicted, self.wrong[name][:n], self.labels[:n], self.resampler)

    def diagnostics(self, record: CheckpointRecord) -> Diagnostics:
        """Reliability bins and confusion matrix of one checkpoint."""
        logits = self.found[str(record)]["clean"]["logits"]
        bins = reliability_bins(softmax(logits), self.labels, self.settings.calibration_bins)
        filled = bins.counts > 0
        return Diagnostics(
            study=record.study,
            generation=record.generation,
            network=record.network,
            seed=record.seed,
            reliability=[
                ReliabilityBin(
                    low=float(bins.edges[m]),
                    high=float(bins.edges[m + 1]),
                    count=int(bins.counts[m]),
                    accuracy=float(bins.accuracy[m]) if filled[m] else None,
                    confidence=float(bins.confidence[m]) if filled[m] else None,
                )
                for m in range(len(bins.counts))
            ],
            confusion=confusion_matrix(logits.argmax(1), self.labels, logits.shape[1]).tolist(),
        )


def opponents(record: CheckpointRecord, by_name: dict[str, CheckpointRecord], baseline: CheckpointRecord) -> list[str]:
    """Checkpoints that a student's clean error is compared with: its teacher, the first teacher, the baseline.

    A student that taught none, the end of its chain, is compared with the control of its seed too.
    """
    if record.parent is None:
        return []
    first = by_name[record.parent]
    while first.parent is not None:
        first = by_name[first.parent]
    others = list(by_name.values())
    last = not any(other.parent == str(record) for other in others)
    controls = [str(other) for other in others if last and other.role == "control" and other.seed == record.seed]
    return list(dict.fromkeys([record.parent, str(first), str(baseline), *controls]))


def _load(run: Path, record: CheckpointRecord, kinds: Sequence[str]) -> Predictions:
    return {kind: load_predictions(path_of(run, record, kind)) for kind in BENCHMARKS if kind in kinds}


def benchmark_sets(settings: EvaluationConfig, source: Source, test: int) -> list[BenchmarkSet]:
    """The images that each group of numbers is measured on."""
    attacked = subset_size(settings.attack_images, test)
    sets = [
        BenchmarkSet(kind="clean", name=f"test set ({test:,} images)", images=test, complete=True),
        BenchmarkSet(kind="fgsm", name=f"FGSM ({_first(attacked, test)})", images=attacked, complete=attacked == test),
    ]
    if settings.corruptions:
        n, declared = subset_size(settings.corruption_images, test), corruption_set(settings.corruptions)
        sets.append(_described("corruption", source, declared, n, test))
    if settings.perturbations:
        n, moving = subset_size(settings.perturbation_images, test), perturbation_set(settings.perturbations)
        sets.append(_described("perturbation", source, moving, n, test))
    return sets


def _described(
    kind: Literal["corruption", "perturbation"], source: Source, declared: DeclaredSet, n: int, test: int
) -> BenchmarkSet:
    version = source.corruptions if kind == "corruption" else source.perturbations
    canonical = len(declared.counted) + len(declared.missing)
    return BenchmarkSet(
        kind=kind,
        name=f"{version} ({len(declared.counted)} of {canonical} {kind}s, {_first(n, test)})",
        images=n,
        complete=declared.complete and n == test,
        counted=list(declared.counted),
        shown=list(declared.shown),
        missing=list(declared.missing),
        severities=list(SEVERITIES) if kind == "corruption" else [],
        seed=source.seed,
    )


def _first(n: int, test: int) -> str:
    return f"all {n:,} test images" if n == test else f"first {n:,} test images"


def _dataset_record(dataset: Dataset, split: Split) -> DatasetRecord:
    return DatasetRecord(
        name=dataset.name,
        title=dataset.title,
        licence=dataset.licence,
        citation=dataset.citation,
        checksum=dataset.checksum,
        classes=list(dataset.classes),
        labeled=len(split.labeled),
        unlabeled=len(split.unlabeled),
        validation=len(split.validation),
        test=len(dataset.test),
    )


def _samples(config: Config) -> Iterator[SampleImage]:
    yield SampleImage(
        kind="noise",
        name="input noise",
        file="samples/noise.png",
        caption="Training images as they are (left) and under draws of this run's input noise.",
    )
    for name in config.evaluation.corruptions:
        caption = "Test images as they are (left) and at severities 1 to 5."
        yield SampleImage(kind="corruption", name=name, file=f"samples/corruption-{name}.png", caption=caption)
    for moving in config.evaluation.perturbations:
        frames = ", ".join(str(frame + 1) for frame in shown_frames(moving))
        caption = f"Frames {frames} of the sequences of three test images."
        yield SampleImage(kind="perturbation", name=moving, file=f"samples/perturbation-{moving}.png", caption=caption)
