"""Questions a report asks of a record."""

import re

from nsbench.checkpoints.record import CheckpointName, CheckpointRecord
from nsbench.models.record import ModelRecord
from nsbench.protocols.attacks import sweep_names
from nsbench.report.stamp import MARK, TEST_SELECTED
from nsbench.results.key import Key, Kind, own_protocol
from nsbench.results.measured import BenchmarkSet, Comparison, Measurement, SeedComparison, SeedMean, unseeded_name
from nsbench.results.record import Diagnostics, Results

CLEAN = Key("clean", "top1_error")

MOST = 12
"""A figure shows no more models: there are six colours, and each is used twice at most."""

Entry = CheckpointRecord | ModelRecord
"""Whatever was measured; `str` of it is the name by which the record calls it."""


class Lookup:
    """An index over one `Results`: models in reading order, their labels, and each number by what it measures.

    Checkpoints stand as the chain grew (study, seed, generation), then controls, then baselines, the one that ratios
    are relative to last. Other models stand before that one, as they were named on the command line.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        everything: list[Entry] = [*results.checkpoints, *results.models]
        self._by_name = {str(one): one for one in everything}
        self.checkpoints = sorted(
            results.checkpoints,
            key=lambda c: (self._rank(c), c.study, c.seed, c.generation, c.network),
        )
        baselines = [one for one in self.checkpoints if self.is_baseline(one) or one.role == "baseline"]
        chain = [one for one in self.checkpoints if one not in baselines]
        self.entries: list[Entry] = [*chain, *results.models, *baselines]
        self._diagnostics = {diagnostics.model: diagnostics for diagnostics in results.diagnostics}
        self._measurements = {(one.model, one.key): one for one in results.measurements}
        self._comparisons = {(one.candidate, one.baseline, one.key): one for one in results.comparisons}
        self._means = {(one.group, one.key): one for one in results.seed_means}
        one_each = {one.group: one for one in results.seed_means}
        self.groups = {group: self._members(mean) for group, mean in one_each.items()}
        self.drawn = self._drawn()

    def _rank(self, one: CheckpointRecord) -> int:
        return {"control": 1, "baseline": 2}.get(one.role, 3 if self.is_baseline(one) else 0)

    def _members(self, mean: SeedMean) -> list[CheckpointRecord]:
        """The networks that a mean is over, by rising seed; a number may follow the name of their group."""
        return sorted(
            (
                one
                for one in self.checkpoints
                if one.seed in mean.seeds
                and re.fullmatch(re.escape(unseeded_name(one)) + r"(\W{1,2}\d+\W?)?", mean.group)
            ),
            key=lambda one: one.seed,
        )

    def _drawn(self) -> list[Entry]:
        drawn = [one for one in self.entries if self.first_alike(one) is one]
        if len(drawn) <= MOST:
            return drawn
        errors = [self.find(one, CLEAN) for one in drawn]
        ranked = sorted(
            range(len(errors)),
            key=lambda place: (
                not self.is_baseline(drawn[place]),
                2.0 if (found := errors[place]) is None or found.value is None else found.value,
            ),
        )
        return [drawn[place] for place in sorted(ranked[:MOST])]

    def group_of(self, one: Entry | str) -> str | None:
        """The group of networks that differ from this one in their seed alone, or None."""
        return next((group for group, members in self.groups.items() if str(one) in map(str, members)), None)

    def first_alike(self, one: Entry) -> Entry:
        """The network of the lowest seed that differs from this one in its seed alone; itself where none does."""
        return next((members[0] for members in self.groups.values() if one in members), one)

    @property
    def noun(self) -> str:
        """What one row of a table is: a checkpoint of a run, or any model."""
        return "model" if self.results.models else "checkpoint"

    @property
    def left_out(self) -> str:
        """What a figure with room for few says of the models that it leaves out; empty where it shows all."""
        if len(self.drawn) == len(self.entries):
            return ""
        if len(self.drawn) == len({str(self.first_alike(one)) for one in self.entries}):
            seeds = sorted({members[0].seed for members in self.groups.values() if members})
            return f" Only the networks of seed {', '.join(map(str, seeds))} are drawn; the tables have all."
        baseline = ", the baseline among them" if any(self.is_baseline(one) for one in self.drawn) else ""
        return (
            f" {len(self.drawn)} of the {len(self.entries)} {self.noun}s are drawn, those with the lowest clean "
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
        """Whether this is a baseline or a control: a network that stands beside the others."""
        return self.is_baseline(one) or (isinstance(one, CheckpointRecord) and one.role in ("control", "baseline"))

    def test_selected(self, one: Entry | str) -> bool:
        """Whether a checkpoint's weights were chosen on the test images, which makes its numbers optimistic."""
        found = self.checkpoint(str(one))
        return found is not None and found.test_selected

    def control(self, student: CheckpointRecord) -> CheckpointRecord | None:
        """The network with a student's size, noise and image budget but no teacher, or None.

        Records of earlier versions have one for the last student alone, as generation 0.
        """
        found = [one for one in self.checkpoints if one.role == "control" and one.seed == student.seed]
        own = [one for one in found if one.generation == student.generation and one.network == student.network]
        alike = [one for one in found if one.network == student.network]
        return next(iter([*own, *alike, *(one for one in found if one.generation == 0)]), None)

    def own_baseline(self, student: CheckpointRecord) -> CheckpointRecord | None:
        """The supervised baseline of a student's seed, else the one that ratios are relative to, or None."""
        own = [one for one in self.checkpoints if one.role == "baseline" and one.seed == student.seed]
        return next(iter(own), None) or self.checkpoint(self.results.baseline)

    def position(self, one: Entry) -> int:
        """Place in reading order; a model keeps its colour and marker in every figure by it."""
        one, names = self.first_alike(one), [str(other) for other in self.drawn]
        return names.index(str(one)) if str(one) in names else [str(other) for other in self.entries].index(str(one))

    def students(self) -> list[CheckpointRecord]:
        """Checkpoints of the chain after the first, in reading order."""
        return [checkpoint for checkpoint in self.checkpoints if checkpoint.role == "student"]

    def last(self) -> CheckpointRecord:
        """The end of the chain: the last student, of several seeds the first; the last checkpoint without a student."""
        last = (self.students() or self.checkpoints)[-1]
        alike = [one for one in self.students() if (one.study, one.generation) == (last.study, last.generation)]
        return next(iter(alike), last)

    def lowest(self, key: Key) -> list[Entry]:
        """The models whose number is the smallest: one, several if they share it, none if it was not measured."""
        found = {str(one): self.find(one, key) for one in self.entries}
        values = {name: one.value for name, one in found.items() if one is not None and one.value is not None}
        least = min(values.values(), default=None)
        return [one for one in self.entries if least is not None and values.get(str(one)) == least]

    def foremost(self) -> Entry:
        """The model that a page shows in full: the last student of a run, else the one with the lowest clean error."""
        if self.checkpoints:
            return self.last()
        return (self.lowest(CLEAN) or self.entries)[0]

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
        """Short name, and the seed where a run trained several networks of that name."""
        name = self.unseeded(one)
        if isinstance(one, ModelRecord):
            return name
        alike = [other for other in self.checkpoints if one.role == other.role]
        return name + (f" seed {one.seed}" if len({other.seed for other in alike}) > 1 else "")

    def unseeded(self, one: Entry) -> str:
        """What a network is for: `gen 2`, `control`, `baseline`; the study is named only where a run has several."""
        if isinstance(one, ModelRecord):
            return str(one)
        if self.is_baseline(one) or one.role == "baseline":
            words = ["baseline"]
        elif one.role == "control":
            several = len({other.generation for other in self.checkpoints if other.role == "control"}) > 1
            words = ["control"] + [f"of gen {one.generation}"] * several
        else:
            studies = {other.study for other in self.checkpoints if not self.is_reference(other)}
            words = [one.study] * (len(studies) > 1) + [f"gen {one.generation}"]
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

    def key(self, kind: Kind, metric: str, member: str = "", severity: int | None = None) -> Key:
        """What a number measures on the data set's own benchmarks, or on none."""
        return Key(kind, metric, own_protocol(kind, self.results.data.name), member, severity)

    def find(self, one: Entry, key: Key) -> Measurement | None:
        """One number, or None where it was not measured."""
        return self._measurements.get((str(one), key))

    def comparison(self, candidate: Entry | str, baseline: Entry | str, key: Key = CLEAN) -> Comparison | None:
        """The paired difference of two models, or None where they were not compared this way round."""
        return self._comparisons.get((str(candidate), str(baseline), key))

    def seed_comparisons(self, candidate: str | None, baseline: str | None) -> list[SeedComparison]:
        """All numbers in which two groups of networks were compared over their seeds."""
        return [one for one in self.results.seed_comparisons if (one.candidate, one.baseline) == (candidate, baseline)]

    def seed_mean(self, group: str, key: Key) -> SeedMean | None:
        """One number averaged over a group's seeds, or None."""
        return self._means.get((group, key))

    def group_label(self, group: str) -> str:
        """A group by what its networks are for: `gen 2 · resnet14`; its own name where the record has none of them."""
        members = self.groups.get(group)
        if not members:
            return group
        marked = MARK if any(one.test_selected for one in members) else ""
        return f"{self.unseeded(members[0])}{marked} · {members[0].network}"

    def diagnostics(self, one: Entry) -> Diagnostics | None:
        """Reliability bins, signs of gradient masking and confusion matrix, or None."""
        return self._diagnostics.get(str(one))

    def benchmark(self, kind: Kind, attack: str = "") -> BenchmarkSet | None:
        """The images that one kind of number is measured on, for the data set's own benchmarks, or None."""
        wanted = (kind, own_protocol(kind, self.results.data.name), attack)
        return next((one for one in self.results.benchmarks if (one.kind, one.protocol, one.attack) == wanted), None)

    def set_of(self, key: Key) -> BenchmarkSet | None:
        """The images that a number of a benchmark is measured on, or None."""
        found = (one for one in self.results.benchmarks if (one.kind, one.protocol) == (key.kind, key.protocol))
        return next(found, None)

    def further(self, kind: Kind) -> list[BenchmarkSet]:
        """The benchmarks of one kind that are not the data set's own, in the order of the record."""
        own = own_protocol(kind, self.results.data.name)
        return [one for one in self.results.benchmarks if one.kind == kind and one.protocol != own]

    def measured(self, key: Key) -> bool:
        """Whether any model has this number."""
        return any(self.find(one, key) is not None for one in self.entries)

    def attacks(self) -> dict[str, list[float]]:
        """Each attack's strengths, ascending; FGSM before the published one and others."""
        found: dict[str, set[float]] = {name: set() for name in sweep_names()}
        for _, key in self._measurements:
            if key.kind == "attack" and key.strength is not None:
                found.setdefault(key.member, set()).add(key.strength)
        return {name: sorted(strengths) for name, strengths in found.items() if strengths}

    def severities(self, benchmark: BenchmarkSet) -> list[int]:
        """Severities of a corruption set, ascending."""
        return sorted(benchmark.severities)
