"""Made-up numbers for both records: plausible, deterministic, with the oddities of real ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from nsbench.results.record import (
    BenchmarkSet,
    Comparison,
    DatasetRecord,
    Measurement,
    Provenance,
    ReliabilityBin,
    Results,
    SampleImage,
)

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
    ) -> None:
        """A number with an interval of `spread` either side, the binomial one unless said; a ratio needs a baseline."""
        if ratio and self.baseline is None:
            return
        floor = 0.0 if spread is None else -10.0
        if value is not None and spread is None:
            spread = 1.96 * float(np.sqrt(max(value * (1 - value), 0.0) / self.n))
        ends = (None, None) if value is None or spread is None else (max(floor, value - spread), value + spread)
        low, high = map(rounded, ends)
        named = {"model": self.model, "benchmark": benchmark, "metric": metric, "n": self.n, "note": note}
        self.found.append(
            Measurement(
                **named, value=rounded(value), ci_low=low, ci_high=high, baseline=self.baseline if ratio else None
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
        for name, share, spread in (
            ("expected", 1, 0.018),
            ("maximum", 3.2, 0.09),
            ("adaptive", 0.97, 0.018),
            ("classwise", 0.26, 0.004),
            ("paper", 0.61, 0.02),
        ):
            self.add(benchmark, f"{name}_calibration_error", calibration * share, spread * narrow)

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
                self.add(f"corruption/{name}/{s}", "expected_calibration_error", 0.04 + 0.5 * (cell - error), 0.02)
            ratio = 1.0 if own else 1 - 0.05 * place - 0.004 * index * (place > 1)
            note, shaky = notes.get(name), name == "brightness"
            relative = None if note and "undefined" in note else 1.0 if own else ratio * (0.55 if shaky else 0.97)
            where = f"corruption/{name}"
            self.add(where, "mean_error", float(np.mean(cells)), 0.03)
            self.add(where, "mean_expected_calibration_error", 0.04 + 0.5 * (float(np.mean(cells)) - error), 0.012)
            self.add(where, "corruption_error", ratio, 0.05, ratio=True)
            spread = 0.31 if shaky else 0.07
            self.add(where, "relative_corruption_error", relative, spread, ratio=True, note=note)

    def corruption_means(self, error: float, place: int, caution: str) -> None:
        """Means over corruptions, ours and the published study's."""
        ratio = 1.0 if self.model == self.baseline else 1.02 - 0.06 * place
        for prefix, shift in (("", 0.0), ("paper_", 0.013)):
            self.add("corruption", f"{prefix}mean_error", error + 0.19 - 0.02 * place + shift, 0.024)
            self.add("corruption", f"{prefix}mean_corruption_error", ratio, 0.04, ratio=True)
            name = f"{prefix}relative_mean_corruption_error"
            self.add("corruption", name, min(ratio, 1.0), 0.12, ratio=True, note=caution)
        self.add("corruption", "mean_expected_calibration_error", 0.13 - 0.02 * place, 0.009)

    def perturbed(self, names: list[str], place: int, other_means: tuple[str, ...] = ()) -> None:
        """Members and means of the perturbation set, ours, the published study's and others."""
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
    pair: tuple[str, str], quantity: tuple[str, str], values: tuple[float, float], spread: float, p: float, n: int
) -> Comparison:
    """The paired difference of two models; `p` is the corrected p-value."""
    change = values[0] - values[1]
    low, high = change - spread, change + spread
    verdict = "no evidence" if p >= 0.05 or low <= 0 <= high else "better" if change < 0 else "worse"
    return Comparison(
        candidate=pair[0],
        baseline=pair[1],
        benchmark=quantity[0],
        metric=quantity[1],
        candidate_value=rounded(values[0]),
        baseline_value=rounded(values[1]),
        difference=rounded(change),
        ci_low=rounded(low),
        ci_high=rounded(high),
        test="McNemar" if quantity == ("clean", "top1_error") else "paired bootstrap",
        p_value=p / 4,
        p_holm=p,
        verdict=verdict,
        n=n,
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


def plain_set(kind: str, name: str, images: int, complete: bool, **more: Any) -> BenchmarkSet:
    """A set of images."""
    return BenchmarkSet(kind=kind, name=name, images=images, complete=complete, **more)
