"""The record put together from models and their stored predictions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics.calibration import reliability_bins
from nsbench.metrics.classification import Floats, confusion_matrix, softmax
from nsbench.models.record import ModelRecord
from nsbench.results.compare.pair import compare, corrected
from nsbench.results.compare.seed_comparisons import seed_comparisons
from nsbench.results.compare.seed_groups import seed_groups
from nsbench.results.confusions import WHOLE, Confusions
from nsbench.results.described import Sets, benchmark_sets, further_sets
from nsbench.results.key import Key
from nsbench.results.measure.everything import Measurer, measurement
from nsbench.results.measure.masking import masking_sentences
from nsbench.results.measure.numbers import Number, Resampler
from nsbench.results.measure.predicted import Predicted
from nsbench.results.measured import Comparison, Measurement
from nsbench.results.quantities import is_headline, metric
from nsbench.results.record import (
    DatasetRecord,
    Diagnostics,
    Provenance,
    ReliabilityBin,
    Results,
    SampleImage,
)

MOST_MODELS = 8
"""Up to this many models, each is compared with each."""

CLEAN = Key("clean", "top1_error")
EACH = "clean error, each with each"


@dataclass(frozen=True)
class Pair:
    """Two models to compare.

    Attributes:
        candidate: the name of a model.
        baseline: the name of the one it is compared with.
        headlines: whether in all headline numbers, or in the clean error alone.
        question: that this pair helps to answer, with others; empty: whether these two models differ.
    """

    candidate: str
    baseline: str
    headlines: bool = False
    question: str = ""

    @property
    def family(self) -> str:
        """The comparisons that Holm's correction is over."""
        return self.question or f"{self.candidate} against {self.baseline}"

    def takes(self, key: Key) -> bool:
        """Whether a number is compared."""
        if not metric(key.metric).directed:
            return False
        return is_headline(key) if self.headlines else key == CLEAN


@dataclass(frozen=True)
class Setup:
    """All that a record is made from.

    Attributes:
        name: name of the run or the evaluation.
        config: its whole configuration.
        seed: seed of the resamples.
        evaluation: what was measured.
        data: the data set.
        source: names of the corrupted and perturbed images.
        run: the folder with `predictions/`.
        records: the models, each called `str(record)`.
        baseline: the model that ratios are relative to, or None.
        provenance: software and hardware.
        samples: strips of example images.
        warnings: sentences a reader must see.
        pairs: pairs of models to compare.
    """

    name: str
    config: dict[str, Any]
    seed: int
    evaluation: EvaluationConfig
    data: DatasetRecord
    source: Sets
    run: Path
    records: Sequence[CheckpointRecord | ModelRecord]
    baseline: str | None
    provenance: Provenance
    samples: list[SampleImage]
    warnings: list[str]
    pairs: list[Pair]


def assemble(setup: Setup) -> Results:
    """Measure every model, one after the other, compare the pairs, and describe what was measured.

    Raises UserError naming predictions that are missing.
    """
    resampler = Resampler(setup.evaluation.bootstrap_resamples, setup.seed)
    classes = len(setup.data.classes)
    measurer = Measurer(setup.run, setup.evaluation, resampler, setup.baseline, setup.data.name, classes)
    groups = seed_groups(setup.records)
    compared: dict[str, dict[Key, Number]] = {}
    measurements: list[Measurement] = []
    diagnostics = []
    for record in setup.records:
        model, name = measurer.predicted(str(record)), str(record)
        numbers = list(measurer.numbers(model))
        measurements += [measurement(number, name, setup.baseline) for number in numbers]
        diagnostics.append(_diagnostics(model, measurer, classes))
        pairs = [pair for pair in setup.pairs if name in (pair.candidate, pair.baseline)]
        compared[name] = {one.key: one for one in numbers if any(pair.takes(one.key) for pair in pairs)}
        for group in groups:
            if isinstance(record, CheckpointRecord) and record in group:
                group.add(record.seed, numbers)
    test, held_out = len(measurer.labels), len(measurer.held_out)
    sets = benchmark_sets(setup.evaluation, setup.source, setup.data.name, test, held_out)
    return Results(
        name=setup.name,
        config=setup.config | {"evaluation": setup.evaluation.model_dump(mode="json")},
        data=setup.data,
        provenance=setup.provenance,
        baseline=setup.baseline,
        checkpoints=[record for record in setup.records if isinstance(record, CheckpointRecord)],
        models=[record for record in setup.records if isinstance(record, ModelRecord)],
        benchmarks=[*sets, *further_sets(setup.evaluation, setup.run, test, classes)],
        measurements=measurements,
        comparisons=corrected([one for pair in setup.pairs for one in _compared(pair, compared)]),
        seed_means=[mean for group in groups for mean in group.means()],
        seed_comparisons=seed_comparisons([(pair.candidate, pair.baseline) for pair in setup.pairs], groups),
        diagnostics=diagnostics,
        samples=setup.samples,
        warnings=setup.warnings,
    )


def _compared(pair: Pair, compared: dict[str, dict[Key, Number]]) -> Iterator[Comparison]:
    other = compared[pair.baseline]
    for key, number in compared[pair.candidate].items():
        if pair.takes(key):
            found = compare(pair.candidate, number, pair.baseline, other[key])
            yield found.model_copy(update={"family": pair.family})


def checkpoint_pairs(records: Sequence[CheckpointRecord]) -> list[Pair]:
    """Students of a run, each with its `opponents`, in all headline numbers."""
    students = [record for record in records if record.role == "student"]
    return [Pair(str(student), other, headlines=True) for student in students for other in opponents(student, records)]


def model_pairs(names: Sequence[str], baseline: str | None) -> list[Pair]:
    """Every model with the baseline in all headline numbers; up to `MOST_MODELS` also each with each in clean error.

    >>> [(pair.candidate, pair.baseline, pair.headlines) for pair in model_pairs(["a", "b", "c"], "b")]
    [('a', 'b', True), ('c', 'b', True), ('c', 'a', False)]
    """
    pairs = [Pair(name, baseline, headlines=True) for name in names if name != baseline] if baseline else []
    if len(names) <= MOST_MODELS:
        others = [name for name in names if name != baseline]
        pairs += [Pair(later, earlier, question=EACH) for at, later in enumerate(others) for earlier in others[:at]]
    return pairs


def opponents(student: CheckpointRecord, records: Sequence[CheckpointRecord]) -> list[str]:
    """Networks of a student's own seed that it is compared with: control, teacher, first teacher and baseline.

    The control has its network, noise and image budget, so what separates the two is the pseudo-labels.
    """
    by_name = {str(record): record for record in records}
    beside = [record for record in records if record.seed == student.seed]
    controls = [str(one) for one in beside if one.role == "control" and one.network == student.network]
    teachers, one = [], student
    while one.parent is not None:
        teachers.append(one.parent)
        one = by_name[one.parent]
    baselines = [str(one) for one in beside if one.role == "baseline"]
    return list(dict.fromkeys([*controls, *teachers[:1], *teachers[-1:], *baselines]))


def _diagnostics(model: Predicted, measurer: Measurer, classes: int) -> Diagnostics:
    """Reliability bins, confusion matrix and signs of gradient masking of one model."""
    config, labels = measurer.config, model.labels
    masking = masking_sentences(model, config, classes)
    return Diagnostics(
        model=model.model,
        reliability=_reliability(model.clean, labels, config.calibration_bins),
        scaled_reliability=_reliability(model.scaled, labels, config.calibration_bins) if measurer.scales else [],
        masking=masking.signs,
        overshoot=masking.overshoot,
        **_confusion(confusion_matrix(model.clean.argmax(1), labels, classes)),
    )


def _confusion(matrix: np.ndarray) -> dict[str, Any]:
    """A confusion matrix (K, K) as the record has it."""
    return {"confusion": matrix.tolist()} if len(matrix) <= WHOLE else {"confusions": Confusions.of(matrix)}


def _reliability(logits: Floats, labels: np.ndarray, bins: int) -> list[ReliabilityBin]:
    found = reliability_bins(softmax(logits), labels, bins)
    filled = found.counts > 0
    return [
        ReliabilityBin(
            low=float(found.edges[m]),
            high=float(found.edges[m + 1]),
            count=int(found.counts[m]),
            accuracy=float(found.accuracy[m]) if filled[m] else None,
            confidence=float(found.confidence[m]) if filled[m] else None,
        )
        for m in range(bins)
    ]
