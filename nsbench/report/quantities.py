"""What each number is called and the unit that it is printed in."""

from dataclasses import dataclass

from nsbench.protocols.attacks import heading
from nsbench.report.lookup import Lookup
from nsbench.report.prose.wording import coverage
from nsbench.report.tables.table import places
from nsbench.results.record import BenchmarkSet
from nsbench.results.strength import strength_text

UNBOUNDED = ("negative_log_likelihood", "brier_score", "temperature")
RATIOS = ("corruption_error", "flip_rate")
SAME_IMAGES = {
    "corruption": "on the images that were corrupted",
    "perturbation": "on the images that were perturbed",
}
METRICS = {
    "top1_error": "top-1 error",
    "top5_error": "top-5 error",
    "negative_log_likelihood": "negative log-likelihood",
    "brier_score": "Brier score",
    "temperature": "temperature",
    "expected_calibration_error": "expected calibration error",
    "maximum_calibration_error": "maximum calibration error",
    "adaptive_calibration_error": "adaptive calibration error",
    "classwise_calibration_error": "class-wise calibration error",
    "mean_error": "top-1 error",
    "clean_error": "clean error",
    "corruption_error": "corruption error",
    "relative_corruption_error": "relative corruption error",
    "mean_corruption_error": "corruption error",
    "relative_mean_corruption_error": "relative corruption error",
    "pooled_relative_corruption_error": "relative corruption error, ratio of sums,",
    "mean_expected_calibration_error": "expected calibration error",
    "flip_probability": "flip probability",
    "flip_rate": "flip rate",
    "mean_flip_probability": "flip probability",
    "mean_flip_rate": "flip rate",
    "zero_gradients": "share of zero gradients",
}
FULL_SETS = {"mean_error": "uCE", "mean_corruption_error": "mCE", "relative_mean_corruption_error": "relative mCE"}
FULL_SETS |= {"mean_flip_rate": "mFR"}


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


def quantity(lookup: Lookup, benchmark: str, metric: str, n: int) -> Quantity:
    """The name and the unit of a metric measured on n images of a benchmark."""
    plain = metric.removeprefix("paper_").removeprefix("imagenet_")
    name = METRICS.get(plain, plain.replace("_", " "))
    if metric.startswith("paper_"):
        name += " as the published study counted"
    if metric.startswith("imagenet_"):
        name += " of ImageNet-P's ten"
    where_measured = SAME_IMAGES.get(benchmark, "") if plain == "clean_error" else where(lookup, benchmark, plain)
    name = f"{name} {where_measured}".rstrip()
    if plain.startswith("pooled_"):
        name = name.replace("mean of", "over").replace("mean over", "over")
    if is_unbiased(lookup, benchmark, metric):
        name += ", unbiased"
    if plain in UNBOUNDED:
        return Quantity(name)
    ratio = plain.endswith(RATIOS)
    return Quantity(name, "% of baseline" if ratio else "%", 100, places(n))


def is_unbiased(lookup: Lookup, benchmark: str, metric: str) -> bool:
    """Whether the record has a calibration error's median-unbiased value, which is then the one to print."""
    found = [lookup.find(one, benchmark, metric) for one in lookup.entries]
    return any(one is not None and one.unbiased is not None for one in found)


def where(lookup: Lookup, benchmark: str, metric: str) -> str:
    """The images of a benchmark in words; a mean over a subset says so, a mean over the full set bears its name."""
    kind, _, rest = benchmark.partition("/")
    if kind in ("corruption", "perturbation"):
        return of_set(lookup, kind, rest, metric)
    if kind == "clean":
        return "on clean images"
    if kind == "scaled":
        return "after temperature scaling"
    if not rest:
        return f"under {attack_text(kind)}"
    return f"under {attack_text(kind)}, ε = {strength_text(float(rest))}"


def of_set(lookup: Lookup, kind: str, rest: str, metric: str) -> str:
    """Which corruption or perturbation, or which mean."""
    if not rest:
        found = lookup.benchmark(kind)
        return f"on {kind}s" + (mean_words(found, metric) if found is not None else "")
    name, _, severity = rest.partition("/")
    return f"on {name}" + (f", severity {severity}" if severity else "")


def mean_words(found: BenchmarkSet, metric: str) -> str:
    """How far a mean reaches."""
    short = f" ({FULL_SETS[metric]})" if metric in FULL_SETS else ""
    return f", mean over the full set{short}" if found.complete else f", {coverage(found)}"


def attack_text(attack: str) -> str:
    """The usual name of an attack."""
    return heading(attack)
