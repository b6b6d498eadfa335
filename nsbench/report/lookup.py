"""Questions a report asks of a record."""

from nsbench.checkpoints.record import CheckpointName, CheckpointRecord
from nsbench.models.record import ModelRecord
from nsbench.report.stamp import MARK, TEST_SELECTED
from nsbench.results.record import BenchmarkSet, Comparison, Diagnostics, Measurement, Results

MOST = 12
"""A figure shows no more models: there are six colours, and each is used twice at most."""

Entry = CheckpointRecord | ModelRecord
"""Whatever was measured; `str` of it is the name by which the record calls it."""


class Lookup:
    """An index over one `Results`: models in reading order, their labels, and each number by what it measures.

    Checkpoints stand as the chain grew (study, seed, generation), then controls, the baseline last. Anybody's models
    stand behind the chain, as they were named on the command line.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        everything: list[Entry] = [*results.checkpoints, *results.models]
        self._by_name = {str(one): one for one in everything}
        self.checkpoints = sorted(
            results.checkpoints,
            key=lambda c: (self.is_baseline(c), c.role == "control", c.study, c.seed, c.generation, c.network),
        )
        own_baseline = [one for one in self.checkpoints if self.is_baseline(one)]
        chain = [one for one in self.checkpoints if not self.is_baseline(one)]
        self.entries: list[Entry] = [*chain, *results.models, *own_baseline]
        self._diagnostics = {diagnostics.model: diagnostics for diagnostics in results.diagnostics}
        self._measurements = {(one.model, one.benchmark, one.metric): one for one in results.measurements}
        self._comparisons = {
            (one.candidate, one.baseline, one.benchmark, one.metric): one for one in results.comparisons
        }
        self.drawn = self._drawn()

    def _drawn(self) -> list[Entry]:
        if len(self.entries) <= MOST:
            return self.entries
        errors = [self.find(one, "clean", "top1_error") for one in self.entries]
        ranked = sorted(
            range(len(errors)),
            key=lambda place: (
                not self.is_baseline(self.entries[place]),
                2.0 if (found := errors[place]) is None or found.value is None else found.value,
            ),
        )
        return [self.entries[place] for place in sorted(ranked[:MOST])]

    @property
    def noun(self) -> str:
        """What one row of a table is: a checkpoint of a run, or any model."""
        return "model" if self.results.models else "checkpoint"

    @property
    def left_out(self) -> str:
        """What a figure with room for few says of the models that it lacks; empty where it shows all."""
        if len(self.drawn) == len(self.entries):
            return ""
        baseline = ", the baseline among them" if any(self.is_baseline(one) for one in self.drawn) else ""
        return (
            f" Drawn are {len(self.drawn)} of the {len(self.entries)} {self.noun}s, those with the lowest clean "
            f"error{baseline}; the tables have all."
        )

    def is_baseline(self, one: Entry | CheckpointName) -> bool:
        """Whether corruption errors and flip rates are relative to this model."""
        return str(one) == self.results.baseline

    @property
    def baseline(self) -> Entry | None:
        """The model that corruption errors and flip rates are relative to, or None."""
        return self._by_name.get(self.results.baseline) if self.results.baseline is not None else None

    def entry(self, name: str | None) -> Entry | None:
        """The checkpoint or model of this name, or None."""
        return self._by_name.get(name) if name is not None else None

    @property
    def trained_here(self) -> bool:
        """Whether this is the record of a run that trained its networks, not of an evaluation of them."""
        return self.results.data.labeled > 0

    def checkpoint(self, name: str | None) -> CheckpointRecord | None:
        """The checkpoint called STUDY/seedK/genI-NETWORK, or None."""
        found = self.entry(name)
        return found if isinstance(found, CheckpointRecord) else None

    def is_reference(self, one: Entry) -> bool:
        """Whether this is the baseline or a control: a network that stands beside the others."""
        return self.is_baseline(one) or (isinstance(one, CheckpointRecord) and one.role == "control")

    def test_selected(self, one: Entry | str) -> bool:
        """Whether a checkpoint's weights were chosen on the test images, which makes its numbers optimistic."""
        found = self.checkpoint(str(one))
        return found is not None and found.test_selected

    def control(self, student: CheckpointRecord) -> CheckpointRecord | None:
        """The network with a student's noise and image budget but no teacher, or None."""
        return next((one for one in self.checkpoints if one.role == "control" and one.seed == student.seed), None)

    def position(self, one: Entry) -> int:
        """Place in reading order; a model keeps its colour and marker in every figure by it."""
        names = [str(other) for other in self.drawn]
        return names.index(str(one)) if str(one) in names else [str(other) for other in self.entries].index(str(one))

    def students(self) -> list[CheckpointRecord]:
        """Checkpoints that a teacher's pseudo-labels trained, in reading order."""
        return [checkpoint for checkpoint in self.checkpoints if checkpoint.parent is not None]

    def last(self) -> CheckpointRecord:
        """The end of the chain: the last student, or the last checkpoint where there is none."""
        return (self.students() or self.checkpoints)[-1]

    def lowest(self, benchmark: str, metric: str) -> list[Entry]:
        """The models whose number is the smallest: one, several if they share it, none if it was not measured."""
        found = {str(one): self.find(one, benchmark, metric) for one in self.entries}
        values = {name: one.value for name, one in found.items() if one is not None and one.value is not None}
        least = min(values.values(), default=None)
        return [one for one in self.entries if least is not None and values.get(str(one)) == least]

    def foremost(self) -> Entry:
        """The model that a page shows in full: the last student of a run, else the one with the lowest clean error."""
        if self.checkpoints:
            return self.last()
        return (self.lowest("clean", "top1_error") or self.entries)[0]

    def first_teacher(self, student: CheckpointRecord) -> str:
        """The name of the supervised teacher at the head of a student's chain."""
        one = student
        while (parent := self.checkpoint(one.parent)) is not None:
            one = parent
        return str(one)

    def generation(self, one: Entry) -> str:
        """A short name, `gen 2`, `control` or `baseline`, with the mark of a checkpoint chosen on test images.

        A model that nsbench did not train has its own.
        """
        return self._unmarked(one) + (MARK if self.test_selected(one) else "")

    def _unmarked(self, one: Entry) -> str:
        """The study or the seed is named only where a run has several."""
        if isinstance(one, ModelRecord):
            return str(one)
        if self.is_baseline(one):
            return "baseline"
        if one.role == "control":
            words = ["control"]
        else:
            studies = {other.study for other in self.checkpoints if not self.is_reference(other)}
            words = [one.study] * (len(studies) > 1) + [f"gen {one.generation}"]
        if len({other.seed for other in self.checkpoints if not self.is_baseline(other)}) > 1:
            words.append(f"seed {one.seed}")
        return " ".join(words)

    def label(self, one: Entry) -> str:
        """The short name and the network: `gen 2 · resnet14`."""
        return str(one) if isinstance(one, ModelRecord) else f"{self.generation(one)} · {one.network}"

    def label_of(self, name: str) -> str:
        """The label of a model by its name."""
        found = self.entry(name)
        return name if found is None else self.label(found)

    def described(self, one: Entry) -> str:
        """The name as prose has it: `generation 2 (resnet14)`, with the stamp spelled out."""
        if isinstance(one, ModelRecord):
            return str(one)
        words = self._unmarked(one).replace("gen ", "generation ")
        article = "the " if self.is_reference(one) else ""
        stamp = f"; {TEST_SELECTED}" if self.test_selected(one) else ""
        return f"{article}{words} ({one.network}{stamp})"

    def find(self, one: Entry, benchmark: str, metric: str) -> Measurement | None:
        """One number, or None where it was not measured."""
        return self._measurements.get((str(one), benchmark, metric))

    def comparison(
        self, candidate: Entry | str, baseline: Entry | str, benchmark: str = "clean", metric: str = "top1_error"
    ) -> Comparison | None:
        """The paired difference of two models, or None where they were not compared this way round."""
        return self._comparisons.get((str(candidate), str(baseline), benchmark, metric))

    def diagnostics(self, one: Entry) -> Diagnostics | None:
        """Reliability bins, signs of gradient masking and confusion matrix, or None."""
        return self._diagnostics.get(str(one))

    def benchmark(self, kind: str) -> BenchmarkSet | None:
        """The set of images that one kind of number was measured on, or None."""
        return next((benchmark for benchmark in self.results.benchmarks if benchmark.kind == kind), None)

    def measured(self, benchmark: str, metric: str) -> bool:
        """Whether any model has this number."""
        return any(self.find(one, benchmark, metric) is not None for one in self.entries)

    def attacks(self) -> dict[str, list[str]]:
        """Each attack's strengths as the record spells them, ascending; FGSM before the published one and others."""
        spelled: dict[str, set[str]] = {name: set() for name in ("fgsm", "paper_fgsm")}
        for _, benchmark, metric in self._measurements:
            name, _, eps = benchmark.partition("/")
            if metric == "top1_error" and eps and name not in ("corruption", "perturbation"):
                spelled.setdefault(name, set()).add(eps)
        return {name: sorted(found, key=float) for name, found in spelled.items() if found}

    def severities(self, benchmark: BenchmarkSet) -> list[int]:
        """Severities of a corruption set, ascending."""
        return sorted(benchmark.severities)
