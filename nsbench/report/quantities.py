"""What each number is called and the unit that it is printed in."""

from dataclasses import dataclass

from nsbench.protocols.attacks import heading
from nsbench.report.lookup import Lookup
from nsbench.report.prose.wording import coverage
from nsbench.report.tables.table import places
from nsbench.results.key import Key, strength_text
from nsbench.results.measured import BenchmarkSet
from nsbench.results.quantities import COUNTED, metric, plain_name

SAME_IMAGES = {
    "corruption": "on the images that were corrupted",
    "perturbation": "on the images that were perturbed",
}


@dataclass(frozen=True)
class Quantity:
    """How one number is printed: its name, its unit, the factor to that unit, and its decimals."""

    name: str
    unit: str = ""
    scale: float = 1
    decimals: int = 3

    @property
    def title(self) -> str:
        """The name with a capital and with its unit."""
        start = self.name[:1].upper() + self.name[1:]
        return f"{start} ({self.unit})" if self.unit else start


def quantity(lookup: Lookup, key: Key, n: int) -> Quantity:
    """The name and the unit of a number measured on n images: the one place that writes a key for people."""
    known, plain = metric(key.metric), plain_name(key.metric)
    name = known.title + next((words for prefix, words in COUNTED.items() if key.metric.startswith(prefix)), "")
    where_measured = SAME_IMAGES.get(key.kind, "") if plain == "clean_error" else where(lookup, key)
    name = f"{name} {where_measured}".rstrip()
    if plain.startswith("pooled_"):
        name = name.replace("mean of", "over").replace("mean over", "over")
    if is_unbiased(lookup, key):
        name += ", unbiased"
    if known.unit == "plain":
        return Quantity(name)
    return Quantity(name, unit_text(key.metric), 100, places(n))


def unit_text(name: str) -> str:
    """The unit that a metric is printed in; empty where it has none."""
    return {"share": "%", "ratio": "% of baseline", "plain": ""}[metric(name).unit]


def is_unbiased(lookup: Lookup, key: Key) -> bool:
    """Whether the record has a calibration error's median-unbiased value, which is then the one to print."""
    found = [lookup.find(one, key) for one in lookup.entries]
    return any(one is not None and one.unbiased is not None for one in found)


def where(lookup: Lookup, key: Key) -> str:
    """The images in words; a mean over a subset says so, a mean over the full set has its name."""
    match key.kind:
        case "clean":
            return "on clean images"
        case "scaled":
            return "after temperature scaling"
        case "attack":
            strength = "" if key.strength is None else f", ε = {strength_text(key.strength)}"
            return f"under {attack_text(key.member)}{strength}"
        case "test_set":
            return f"on {key.protocol}"
    of = "" if key.standard else f" of {key.protocol}"
    if key.member:
        return f"on {key.member}{of}" + (f", severity {key.severity}" if key.severity is not None else "")
    found = lookup.set_of(key)
    return f"on {key.kind}s{of}" + (mean_words(found, key.metric) if found is not None else "")


def mean_words(found: BenchmarkSet, name: str) -> str:
    """How far a mean reaches."""
    full = metric(plain_name(name)).full
    short = f" ({full})" if full else ""
    return f", mean over the full set{short}" if found.complete else f", {coverage(found)}"


def attack_text(attack: str) -> str:
    """The usual name of an attack."""
    return heading(attack)
