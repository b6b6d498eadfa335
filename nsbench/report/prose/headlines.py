"""A student against one other network in all headline numbers: where it is better, where worse, where neither is shown.

None of them is left out: what a sentence says of one number it says of all.
"""

from dataclasses import dataclass

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.lookup import Lookup
from nsbench.report.prose.wording import listed
from nsbench.report.quantities import quantity
from nsbench.report.tables.comparisons import Compared, reading
from nsbench.report.tables.table import estimate
from nsbench.results.record import Comparison

NAMES = {
    ("clean", "top1_error"): "clean error",
    ("clean", "negative_log_likelihood"): "NLL",
    ("clean", "brier_score"): "Brier score",
    ("clean", "expected_calibration_error"): "calibration error",
    ("corruption", "mean_error"): "error on corruptions",
    ("corruption", "mean_expected_calibration_error"): "calibration error on corruptions",
    ("perturbation", "mean_flip_probability"): "flip probability",
    (f"fgsm/{8 / 255:g}", "top1_error"): "error under FGSM",
    (f"pgd/{8 / 255:g}", "top1_error"): "error under PGD",
}
"""Headline numbers in the order of prose; less is better in each."""


@dataclass(frozen=True)
class Standing:
    """A student, its opponent, and every number in which the two were compared."""

    student: CheckpointRecord
    other: CheckpointRecord
    found: list[Compared]

    @property
    def trainings(self) -> int:
        """From how many seeds each of the two was trained for this comparison."""
        return min((1 if isinstance(one, Comparison) else len(one.seeds) for one in self.found), default=1)

    def where(self, verdict: str) -> list[Compared]:
        """The comparisons with one verdict, in the order of `NAMES`."""
        order = list(NAMES)
        found = [one for one in self.found if reading(one) == verdict]
        return sorted(found, key=lambda one: order.index(key) if (key := (one.benchmark, one.metric)) in order else 99)


def standing(lookup: Lookup, student: CheckpointRecord, other: CheckpointRecord | None) -> Standing | None:
    """All comparisons of a student with another network, over seeds where the record has them; None without any."""
    if other is None:
        return None
    found: list[Compared] = [*lookup.seed_comparisons(lookup.group_of(student), lookup.group_of(other))]
    if not found:
        pair = (str(student), str(other))
        found = [one for one in lookup.results.comparisons if (one.candidate, one.baseline) == pair]
    return Standing(student, other, found) if found else None


def trainings_text(count: int) -> str:
    """How many trainings a claim rests on."""
    return "one training each" if count == 1 else f"over {count} trainings each"


def short_name(lookup: Lookup, found: Compared) -> str:
    """What prose calls a number."""
    known = NAMES.get((found.benchmark, found.metric))
    return known or quantity(lookup, found.benchmark, found.metric, found.n).name


def named(lookup: Lookup, found: list[Compared]) -> str:
    """Numbers by name, as in `clean error, Brier score and flip probability`."""
    return listed([short_name(lookup, one) for one in found])


def outcome(lookup: Lookup, found: Standing) -> str:
    """`better in ..., but worse in ...; not shown to differ in ...`: every headline number of the record."""
    better, worse, even, unknown = (
        named(lookup, found.where(verdict)) for verdict in ("better", "worse", "no evidence", "unknown")
    )
    told = [f"better in {better}"] if better else []
    told += [f"but worse in {worse}" if better else f"worse in {worse}"] if worse else []
    parts = [", ".join(told)] if told else []
    parts += [f"not shown to differ in {even}"] if even else []
    parts += [f"not comparable in {unknown}"] if unknown else []
    return "; ".join([*parts, *untested(lookup, found)])


def untested(lookup: Lookup, found: Standing) -> list[str]:
    """Headline numbers that the record has of both without comparing them: which are higher and which lower."""
    tested = {(one.benchmark, one.metric) for one in found.found}
    higher: list[str] = []
    lower: list[str] = []
    for (benchmark, metric), name in NAMES.items():
        own, other = (estimate(lookup.find(one, benchmark, metric)) for one in (found.student, found.other))
        if (benchmark, metric) in tested or own is None or other is None or own.value is None or other.value is None:
            continue
        if own.value != other.value:
            (higher if own.value > other.value else lower).append(name)
    told = [f"{word} in {listed(names)}" for word, names in (("higher", higher), ("lower", lower)) if names]
    return [f"not tested: {', '.join(told)}"] if told else []
