"""Made-up numbers for both records: plausible, deterministic, with the oddities of real ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from nsbench.results.key import Key, Kind, own_protocol, parsed
from nsbench.results.measured import BenchmarkSet, Comparison, Measurement, SeedComparison, SeedMean
from nsbench.results.record import DatasetRecord, Provenance, ReliabilityBin, Results, SampleImage

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
HARDNESS = (0.52, 0.58, 0.06, 0.31, 0.22, 0.4)
FLIPS = (0.094, 0.021, 0.052)


def write(results: Results, path: Path) -> None:
    """JSON with one element of each list a line: half as many bytes as indented, and a difference is still readable."""
    parts = []
    for name, value in results.model_dump(mode="json").items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(json.dumps(one, ensure_ascii=False) for one in value) + "\n ]"
        parts.append(f" {json.dumps(name)}: {text}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def key(benchmark: str, metric: str) -> Key:
    """What a number measures, as users write it."""
    return parsed(benchmark, metric, "cifar10")


def rounded(value: float | None) -> float | None:
    """Four decimals."""
    return None if value is None else round(float(value), 4)


class Measured:
    """The measurements of one model on n images, ratios relative to a baseline."""

    def __init__(self, model: str, n: int, baseline: str | None) -> None:
        self.model, self.n, self.baseline = model, n, baseline
        self.found: list[Measurement] = []

    def add(
        self,
        benchmark: str,
        metric: str,
        value: float | None,
        spread: float | None = None,
        *,
        ratio: bool = False,
        note: str | None = None,
        floor: float | None = None,
    ) -> None:
        """A number with an interval of `spread` either side, the binomial one unless said; a ratio needs a baseline.

        A calibration error has a noise `floor`: its unbiased value is what lies above it, its interval around that.
        """
        if ratio and self.baseline is None:
            return
        least = 0.0 if spread is None or floor is not None else -10.0
        if value is not None and spread is None:
            spread = 1.96 * float(np.sqrt(max(value * (1 - value), 0.0) / self.n))
        unbiased = None if value is None or floor is None else max(0.0, value**2 - floor**2) ** 0.5
        middle = value if unbiased is None else unbiased
        ends = (None, None) if middle is None or spread is None else (max(least, middle - spread), middle + spread)
        low, high = map(rounded, ends)
        self.found.append(
            Measurement(
                model=self.model,
                key=key(benchmark, metric),
                n=self.n,
                note=note,
                value=rounded(value),
                unbiased=rounded(unbiased),
                floor=rounded(floor),
                ci_low=low,
                ci_high=high,
                baseline=self.baseline if ratio else None,
            )
        )

    def clean(self, error: float, calibration: float) -> None:
        """What is measured on clean images."""
        self.add("clean", "top1_error", error)
        self.add("clean", "top5_error", error * 0.09)
        self._calibrated("clean", error, calibration, 1.0)

    def scaled(self, error: float, calibration: float) -> None:
        """The same after temperature scaling, which leaves predictions as they are."""
        self.add("scaled", "temperature", 1 + 8 * calibration, 0.04)
        self._calibrated("scaled", error, 0.008 + 0.12 * calibration, 0.93)

    def _calibrated(self, benchmark: str, error: float, calibration: float, factor: float) -> None:
        narrow = (500 / self.n) ** 0.5
        self.add(benchmark, "negative_log_likelihood", error * 3.1 * factor, 0.09 * narrow)
        self.add(benchmark, "brier_score", error * 1.45 * factor, 0.04 * narrow)
        for name, share, spread, floor in (
            ("expected", 1, 0.018, 0.022),
            ("maximum", 3.2, 0.09, None),
            ("adaptive", 0.97, 0.018, 0.022),
            ("classwise", 0.26, 0.004, 0.005),
            ("paper", 0.61, 0.02, None),
        ):
            noise = None if floor is None else floor * narrow
            self.add(benchmark, f"{name}_calibration_error", calibration * share, spread * narrow, floor=noise)

    def attacked(self, attack: str, epsilons: list[str], error: float, slope: float) -> None:
        """Error against the strength of an attack."""
        for eps in epsilons:
            kept = (1 - error) * float(np.exp(-slope * float(eps)))
            self.add(f"{attack}/{eps}", "top1_error", min(0.995, 1 - kept))

    def corrupted(
        self, names: list[str], error: float, place: int, random: np.random.Generator, notes: dict[str, str]
    ) -> None:
        """Cells and members of the corruption set; `notes` are cautions on the ratio of a corruption."""
        own = self.model == self.baseline
        for index, name in enumerate(names):
            hard = HARDNESS[index % len(HARDNESS)] * (1 - 0.09 * place)
            cells = [min(0.9, error + hard * (s / 5) ** 1.3 + 0.01 * random.standard_normal()) for s in range(1, 6)]
            for s, cell in enumerate(cells, 1):
                self.add(f"corruption/{name}/{s}", "top1_error", cell)
                gap = 0.04 + 0.5 * (cell - error)
                noise = 0.031 * (500 / self.n) ** 0.5
                self.add(f"corruption/{name}/{s}", "expected_calibration_error", gap, 0.02, floor=noise)
            ratio = 1.0 if own else 1 - 0.05 * place - 0.004 * index * (place > 1)
            note, shaky = notes.get(name), name == "brightness"
            relative = None if note and "undefined" in note else 1.0 if own else ratio * (0.55 if shaky else 0.97)
            where = f"corruption/{name}"
            self.add(where, "mean_error", float(np.mean(cells)), 0.03)
            gap = 0.04 + 0.5 * (float(np.mean(cells)) - error)
            self.add(where, "mean_expected_calibration_error", gap, 0.012, floor=0.031 * (500 / self.n) ** 0.5)
            self.add(where, "corruption_error", ratio, 0.05, ratio=True)
            spread = 0.31 if shaky else 0.07
            self.add(where, "relative_corruption_error", relative, spread, ratio=True, note=note)

    def corruption_means(self, error: float, place: int, caution: str) -> None:
        """Means over corruptions, ours and the published study's, and the clean error of the same images."""
        self.add("corruption", "clean_error", error)
        ratio = 1.0 if self.model == self.baseline else 1.02 - 0.06 * place
        for prefix, shift in (("", 0.0), ("paper_", 0.013)):
            self.add("corruption", f"{prefix}mean_error", error + 0.19 - 0.02 * place + shift, 0.024)
            self.add("corruption", f"{prefix}mean_corruption_error", ratio, 0.04, ratio=True)
            name = f"{prefix}relative_mean_corruption_error"
            self.add("corruption", name, min(ratio, 1.0), 0.12, ratio=True, note=caution)
        self.add(
            "corruption",
            "pooled_relative_corruption_error",
            1.0 if self.model == self.baseline else 0.98 * min(ratio, 1.0),
            0.06,
            ratio=True,
        )
        noise = 0.031 * (500 / self.n) ** 0.5
        self.add("corruption", "mean_expected_calibration_error", 0.13 - 0.02 * place, 0.009, floor=noise)

    def perturbed(self, names: list[str], error: float, place: int, other_means: tuple[str, ...] = ()) -> None:
        """Members and means of the perturbation set, ours, the published study's and others; the same images clean."""
        self.add("perturbation", "clean_error", error)
        ratio = 1.0 if self.model == self.baseline else 1.08 - 0.11 * place
        for index, name in enumerate(names):
            flip = FLIPS[index % len(FLIPS)] * ratio
            self.add(f"perturbation/{name}", "flip_probability", flip, 0.15 * flip)
            self.add(f"perturbation/{name}", "paper_flip_probability", 2.3 * flip, 0.2 * flip)
            self.add(f"perturbation/{name}", "flip_rate", ratio, 0.09, ratio=True)
        for prefix, factor in (("", 1.0), ("paper_", 2.2), *((one, 0.94) for one in other_means)):
            self.add("perturbation", f"{prefix}mean_flip_probability", 0.056 * ratio * factor, 0.006)
            self.add("perturbation", f"{prefix}mean_flip_rate", ratio, 0.07, ratio=True)


def comparison(
    pair: tuple[str, str],
    quantity: tuple[str, str],
    values: tuple[float, float],
    spread: float,
    p: float,
    n: int,
    family: str = "all comparisons",
) -> Comparison:
    """The paired difference of two models; `p` is the corrected p-value."""
    change = values[0] - values[1]
    low, high = change - spread, change + spread
    calibration = quantity[1].endswith("calibration_error")
    exact = quantity[1] == "top1_error"
    return Comparison(
        candidate=pair[0],
        baseline=pair[1],
        family=family,
        key=key(*quantity),
        candidate_value=rounded(values[0]),
        baseline_value=rounded(values[1]),
        difference=rounded(change),
        ci_low=rounded(low),
        ci_high=rounded(high),
        test="McNemar" if exact else "MOVER" if calibration else "paired bootstrap",
        p_value=p / 4,
        p_holm=p,
        verdict=verdict(change, spread, p),
        detectable=rounded(1.9 * spread),
        n=n,
    )


def verdict(change: float, spread: float, p: float) -> str:
    """What a difference says, by its corrected p-value and its interval of `spread` either side."""
    if p >= 0.05 or abs(change) <= spread:
        return "no evidence"
    return "better" if change < 0 else "worse"


SPREADS = {
    ("clean", "top1_error"): 0.028,
    ("clean", "negative_log_likelihood"): 0.05,
    ("clean", "brier_score"): 0.022,
    ("clean", "expected_calibration_error"): 0.021,
    ("corruption", "mean_error"): 0.026,
    ("corruption", "mean_expected_calibration_error"): 0.014,
    ("perturbation", "mean_flip_probability"): 0.009,
}
"""Half widths of the intervals of differences in the headline numbers, on 500 images."""


def headlines(pair: tuple[str, str], measured: list[Measurement], family: str) -> list[Comparison]:
    """All headline numbers of two models compared."""
    found = []
    for quantity, spread in SPREADS.items():
        own, other = (
            next(one for one in measured if (one.model, one.benchmark, one.metric) == (name, *quantity))
            for name in pair
        )
        values = printed(own), printed(other)
        apart = abs(values[0] - values[1]) / spread
        p = 0.0008 if apart > 2 else 0.021 if apart > 1 else 0.072 if apart > 0.8 else 0.61
        found.append(comparison(pair, quantity, values, spread, p, own.n, family))
    return found


def printed(one: Measurement) -> float:
    """The value to compare: of a calibration error the unbiased one."""
    return (one.value if one.unbiased is None else one.unbiased) or 0.0


def seed_mean(group: str, found: list[Measurement], seeds: list[int]) -> SeedMean:
    """One number averaged over the networks of a group."""
    values = np.array([printed(one) for one in found])
    mean, over_seeds = float(values.mean()), 4.303 * float(values.std(ddof=1)) / len(values) ** 0.5
    images = (found[0].ci_high or 0.0) - printed(found[0])
    both = (over_seeds**2 + images**2) ** 0.5
    ends = [rounded(mean + sign * half) for half in (both, images, over_seeds) for sign in (-1, 1)]
    return SeedMean(
        group=group,
        seeds=seeds,
        key=found[0].key,
        value=rounded(mean),
        **dict(zip(("ci_low", "ci_high", "image_low", "image_high", "seed_low", "seed_high"), ends, strict=True)),
        n=found[0].n,
    )


def over_seeds(groups: tuple[str, str], found: list[Comparison], seeds: list[int], spread: float) -> SeedComparison:
    """One number of two groups compared over their seeds, from the comparisons of single networks."""
    change = float(np.mean([one.difference or 0.0 for one in found]))
    apart = abs(change) / spread
    p = 0.004 if apart > 2 else 0.031 if apart > 1.1 else 0.44
    return SeedComparison(
        candidate=groups[0],
        baseline=groups[1],
        seeds=seeds,
        family=found[0].family,
        key=found[0].key,
        candidate_value=rounded(float(np.mean([one.candidate_value or 0.0 for one in found]))),
        baseline_value=rounded(float(np.mean([one.baseline_value or 0.0 for one in found]))),
        difference=rounded(change),
        ci_low=rounded(change - spread),
        ci_high=rounded(change + spread),
        p_value=p / 3,
        p_holm=p,
        verdict=verdict(change, spread, p),
        detectable=rounded(2.1 * spread),
        n=found[0].n,
    )


def reliability(n: int, error: float, random: np.random.Generator, gap: float = 0.4) -> list[ReliabilityBin]:
    """Fifteen bins, a few of them empty, most images at the confident end."""
    weights = np.array([0, 0, 1, 3, 6, 9, 12, 14, 17, 21, 26, 34, 49, 78, 230], dtype=float)
    counts = random.multinomial(n, weights / weights.sum())
    bins = []
    for index, count in enumerate(counts):
        low, high = round(index / 15, 6), round((index + 1) / 15, 6)
        confidence = round((low + high) / 2, 4)
        accuracy = round(float(np.clip(confidence - error * gap + 0.04 * random.standard_normal(), 0, 1)), 4)
        full = {"accuracy": accuracy, "confidence": confidence} if count else {"accuracy": None, "confidence": None}
        bins.append(ReliabilityBin(low=low, high=high, count=int(count), **full))
    return bins


def confusion(per_class: int, error: float, random: np.random.Generator) -> list[list[int]]:
    """The same count of images for each class, errors spread unevenly."""
    rows = []
    for index in range(10):
        spread = random.dirichlet(np.full(10, 0.4)) * error
        spread[index] += 1 - error
        rows.append([int(count) for count in random.multinomial(per_class, spread / spread.sum())])
    return rows


def samples(corruptions: list[str], perturbations: list[str], noise: bool) -> list[SampleImage]:
    """A strip for each corruption and perturbation, and one of input noise."""
    strips = [("corruption", name, "clean, then severities 1 to 5") for name in corruptions]
    strips += [("perturbation", name, "frames 1, 7, 13, 19, 25 and 31") for name in perturbations]
    strips += [("noise", "RandAugment", "one image, six draws of input noise")] * noise
    return [
        SampleImage(kind=kind, name=name, file=f"samples/{kind}-{name}.png", caption=caption)
        for kind, name, caption in strips
    ]


def cifar10(**counts: int) -> DatasetRecord:
    """The data set, with its counts of images."""
    return DatasetRecord(
        name="cifar10",
        title="CIFAR-10",
        licence="not stated by its authors; free for research",
        citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        checksum="5f" * 32,
        classes=CLASSES,
        **counts,
    )


def provenance() -> Provenance:
    """A machine."""
    return Provenance(
        **{"nsbench": "0.1.0", "python": "3.11.9", "torch": "2.7.0", "torchvision": "0.22.0", "numpy": "2.2.0"},
        **{"platform": "Linux x86_64", "device": "cpu", "threads": 2},
    )


def plain_set(kind: Kind, name: str, images: int, complete: bool, **more: Any) -> BenchmarkSet:
    """A set of images."""
    return BenchmarkSet(
        kind=kind, protocol=own_protocol(kind, "cifar10"), name=name, images=images, complete=complete, **more
    )
