"""Questions a report asks of a record."""

from nsbench.checkpoints.record import CheckpointName, CheckpointRecord
from nsbench.report.stamp import MARK, TEST_SELECTED
from nsbench.results.record import BenchmarkSet, Diagnostics, Measurement, Results


class Lookup:
    """An index over one `Results`: checkpoints in reading order, their labels, and each number by what it measures.

    Checkpoints stand as the chain grew (study, seed, generation), then controls, the baseline last.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self._by_name = {str(checkpoint): checkpoint for checkpoint in results.checkpoints}
        self.checkpoints = sorted(
            results.checkpoints,
            key=lambda c: (self.is_baseline(c), c.role == "control", c.study, c.seed, c.generation, c.network),
        )
        self._diagnostics = {str(diagnostics): diagnostics for diagnostics in results.diagnostics}
        self._measurements: dict[tuple[str, str, str], list[Measurement]] = {}
        for found in results.measurements:
            self._measurements.setdefault((str(found), found.benchmark, found.metric), []).append(found)

    def is_baseline(self, checkpoint: CheckpointName) -> bool:
        """Whether corruption errors and flip rates are relative to this checkpoint."""
        return str(checkpoint) == self.results.baseline

    def checkpoint(self, name: str | None) -> CheckpointRecord | None:
        """The checkpoint called STUDY/seedK/genI-NETWORK, or None."""
        return self._by_name.get(name) if name is not None else None

    def is_reference(self, checkpoint: CheckpointName) -> bool:
        """Whether this is the baseline or a control: a network that stands beside the chain."""
        return self.is_baseline(checkpoint) or self._is_control(checkpoint)

    def _is_control(self, checkpoint: CheckpointName) -> bool:
        found = self.checkpoint(str(checkpoint))
        return found is not None and found.role == "control"

    def test_selected(self, checkpoint: CheckpointName | str) -> bool:
        """Whether a checkpoint's weights were chosen on the test images, which makes its numbers optimistic."""
        found = self.checkpoint(str(checkpoint))
        return found is not None and found.test_selected

    def control(self, student: CheckpointRecord) -> CheckpointRecord | None:
        """The network with a student's noise and image budget but no teacher, or None."""
        return next((one for one in self.checkpoints if one.role == "control" and one.seed == student.seed), None)

    def position(self, checkpoint: CheckpointName) -> int:
        """Place in reading order; a checkpoint keeps its colour and marker in every figure by it."""
        return [str(other) for other in self.checkpoints].index(str(checkpoint))

    def students(self) -> list[CheckpointRecord]:
        """Checkpoints that a teacher's pseudo-labels trained, in reading order."""
        return [checkpoint for checkpoint in self.checkpoints if checkpoint.parent is not None]

    def last(self) -> CheckpointRecord:
        """The end of the chain: the last student, or the last checkpoint where there is none."""
        return (self.students() or self.checkpoints)[-1]

    def first_teacher(self, student: CheckpointRecord) -> str:
        """The name of the supervised teacher at the head of a student's chain."""
        one = student
        while (parent := self.checkpoint(one.parent)) is not None:
            one = parent
        return str(one)

    def generation(self, checkpoint: CheckpointName) -> str:
        """A short name, `gen 2`, `control` or `baseline`, with the mark of a checkpoint chosen on test images."""
        return self._unmarked(checkpoint) + (MARK if self.test_selected(checkpoint) else "")

    def _unmarked(self, checkpoint: CheckpointName) -> str:
        """The study or the seed is named only where a run has several."""
        if self.is_baseline(checkpoint):
            return "baseline"
        if self._is_control(checkpoint):
            words = ["control"]
        else:
            studies = {one.study for one in self.checkpoints if not self.is_reference(one)}
            words = [checkpoint.study] * (len(studies) > 1) + [f"gen {checkpoint.generation}"]
        if len({one.seed for one in self.checkpoints if not self.is_baseline(one)}) > 1:
            words.append(f"seed {checkpoint.seed}")
        return " ".join(words)

    def label(self, checkpoint: CheckpointName) -> str:
        """The short name and the network: `gen 2 · resnet14`."""
        return f"{self.generation(checkpoint)} · {checkpoint.network}"

    def described(self, checkpoint: CheckpointName) -> str:
        """The name as prose has it: `generation 2 (resnet14)`, with the stamp spelled out."""
        words = self._unmarked(checkpoint).replace("gen ", "generation ")
        article = "the " if self.is_reference(checkpoint) else ""
        stamp = f"; {TEST_SELECTED}" if self.test_selected(checkpoint) else ""
        return f"{article}{words} ({checkpoint.network}{stamp})"

    def find(
        self, checkpoint: CheckpointName, benchmark: str, metric: str, baseline: str | None = None
    ) -> Measurement | None:
        """One number, or None where it was not measured; `baseline` picks among comparisons with several."""
        found = self._measurements.get((str(checkpoint), benchmark, metric), [])
        return next((one for one in found if baseline is None or one.baseline == baseline), None)

    def diagnostics(self, checkpoint: CheckpointName) -> Diagnostics | None:
        """Reliability bins and confusion matrix, or None."""
        return self._diagnostics.get(str(checkpoint))

    def benchmark(self, kind: str) -> BenchmarkSet | None:
        """The set of images that one kind of number was measured on, or None."""
        return next((benchmark for benchmark in self.results.benchmarks if benchmark.kind == kind), None)

    def epsilons(self) -> list[str]:
        """FGSM strengths as the record spells them, ascending."""
        spelled = {key[1].partition("/")[2] for key in self._measurements if key[1].startswith("fgsm/")}
        return sorted(spelled, key=float)

    def severities(self, benchmark: BenchmarkSet) -> list[int]:
        """Severities of a corruption set, ascending."""
        return sorted(benchmark.severities)
