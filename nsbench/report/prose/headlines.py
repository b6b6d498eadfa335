"""A student against one other network in all headline numbers: where it is better, where worse, where neither is shown.

None is left out: what a sentence says about one number it says about all.
"""

from dataclasses import dataclass, replace

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.lookup import Lookup
from nsbench.report.prose.wording import listed
from nsbench.report.quantities import quantity
from nsbench.report.tables.comparisons import Compared, reading
from nsbench.report.tables.table import estimate
from nsbench.results.key import Key
from nsbench.results.measured import Comparison
from nsbench.results.quantities import HEADLINES, headline


@dataclass(frozen=True)
class Standing:
    """A student, its opponent, and every number in which the two were compared."""

    student: CheckpointRecord
    other: CheckpointRecord
    found: list[Compared]

    @property
    def trainings(self) -> int:
        """The number of seeds that each of the two was trained from for this comparison."""
        return min((1 if isinstance(one, Comparison) else len(one.seeds) for one in self.found), default=1)

    def where(self, verdict: str) -> list[Compared]:
        """The comparisons with one verdict, headlines first."""
        found = [one for one in self.found if reading(one) == verdict]
        return sorted(found, key=lambda one: rank(one.key))


def rank(key: Key) -> int:
    """The place of a number in the order of prose."""
    return next((place for place, known in enumerate(HEADLINES) if known.of(key)), len(HEADLINES))


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
    """How many training runs a claim rests on."""
    return "one training run each" if count == 1 else f"over {count} training runs each"


def short_name(lookup: Lookup, found: Compared) -> str:
    """What prose calls a number."""
    known = headline(found.key)
    return known.title if known else quantity(lookup, found.key, found.n).name


def named(lookup: Lookup, found: list[Compared]) -> str:
    """Numbers by name, as in `clean error, Brier score and flip probability`."""
    return listed([short_name(lookup, one) for one in found])


def outcome(lookup: Lookup, found: Standing) -> str:
    """`better in ..., but worse in ...; not shown to differ in ...`: every headline number of the record."""
    better, worse, even, unknown = (
        named(lookup, found.where(verdict)) for verdict in ("better", "worse", "no evidence", "unknown")
    )
    tested = [f"better in {better}"] if better else []
    tested += [f"but worse in {worse}" if better else f"worse in {worse}"] if worse else []
    parts = [", ".join(tested)] if tested else []
    parts += [f"not shown to differ in {even}"] if even else []
    parts += [f"not comparable in {unknown}"] if unknown else []
    return "; ".join([*parts, *untested(lookup, found)])


def untested(lookup: Lookup, found: Standing) -> list[str]:
    """Headline numbers that the record has of both without comparing them: which are higher and which lower."""
    tested = [headline(one.key) for one in found.found]
    higher: list[str] = []
    lower: list[str] = []
    for known in HEADLINES:
        key = replace(lookup.key(known.kind, known.metric, known.member), strength=known.strength)
        own, other = (estimate(lookup.find(one, key)) for one in (found.student, found.other))
        if known in tested or own is None or other is None or own.value is None or other.value is None:
            continue
        if own.value != other.value:
            (higher if own.value > other.value else lower).append(known.title)
    parts = [f"{word} in {listed(names)}" for word, names in (("higher", higher), ("lower", lower)) if names]
    return [f"not tested: {', '.join(parts)}"] if parts else []
