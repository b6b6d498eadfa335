"""Write `results.json`: a made-up run with the size and the oddities of a real one.

A teacher, three students, a baseline and a control on 500 images; incomplete sets, cautions, undefined numbers.
"""

from pathlib import Path

import numpy as np

from nsbench.checkpoints.record import CheckpointName, CheckpointRecord, HistoryPoint, SelectionRecord
from nsbench.results.record import (
    BenchmarkSet,
    DatasetRecord,
    Diagnostics,
    Measurement,
    Provenance,
    ReliabilityBin,
    Results,
    SampleImage,
)

N = 500
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
COUNTED = ["gaussian_noise", "impulse_noise", "brightness", "contrast", "jpeg_compression"]
SHOWN = ["gaussian_blur"]
MISSING = ["shot_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow", "frost", "fog"]
MISSING += ["elastic_transform", "pixelate"]
PERTURBATIONS = ["gaussian_noise", "brightness", "translate"]
EPSILONS = ["0", "0.01", "0.02", "0.03", "0.04", "0.05", "0.06", "0.08", "0.1"]
NETWORKS = ["resnet8", "resnet8", "resnet14", "resnet20"]
ERRORS = [0.276, 0.232, 0.206, 0.198]
CONTROL_ERROR = 0.231
BASELINE = CheckpointName(study="supervised", generation=0, network="resnet20", seed=0)
CONTROL = CheckpointName(study="control", generation=0, network="resnet20", seed=0)
CHAIN = [CheckpointName(study="hard", generation=g, network=network, seed=0) for g, network in enumerate(NETWORKS)]
CAUTION = "the baseline's error grows by only 1.2 points here, so the ratio is ill-conditioned"
UNDEFINED = "the baseline's error does not grow under this corruption, so the ratio is undefined"
SATURATED = "over 5 % of the gradients are zero: the attack is partly blind"


def measurement(
    of: CheckpointName,
    benchmark: str,
    metric: str,
    value: float | None,
    spread: float | None = None,
    baseline: str | None = None,
    note: str | None = None,
) -> Measurement:
    """A number with an interval of `spread` either side, the binomial one unless said."""
    floor = 0.0 if spread is None else -10.0
    if value is not None and spread is None:
        spread = 1.96 * float(np.sqrt(max(value * (1 - value), 0.0) / N))
    low, high = (
        (None, None)
        if value is None or spread is None
        else (round(max(floor, value - spread), 4), round(value + spread, 4))
    )
    rounded = None if value is None else round(value, 4)
    named = {"benchmark": benchmark, "metric": metric, "n": N, "baseline": baseline, "note": note}
    return Measurement(**of.model_dump(), **named, value=rounded, ci_low=low, ci_high=high)


def clean(of: CheckpointName, error: float, calibration: float) -> list[Measurement]:
    """What is measured on clean images."""
    return [
        measurement(of, "clean", "top1_error", error),
        measurement(of, "clean", "top5_error", error * 0.09),
        measurement(of, "clean", "negative_log_likelihood", error * 3.1, 0.09),
        measurement(of, "clean", "brier_score", error * 1.45, 0.04),
        measurement(of, "clean", "expected_calibration_error", calibration, 0.018),
        measurement(of, "clean", "maximum_calibration_error", calibration * 3.2, 0.09),
        measurement(of, "clean", "paper_calibration_error", calibration * 0.61, 0.02),
    ]


def attacked(of: CheckpointName, error: float, place: int) -> list[Measurement]:
    """The FGSM sweep."""
    sweep = [
        measurement(
            of,
            f"fgsm/{eps}",
            "top1_error",
            min(0.97, error + (1 - error) * (1 - np.exp(-(19 - 2 * place) * float(eps)))),
        )
        for eps in EPSILONS
    ]
    zero = 0.062 if place == 3 else 0.004
    return [*sweep, measurement(of, "fgsm", "zero_gradients", zero, note=SATURATED if zero > 0.05 else None)]


def corrupted(of: CheckpointName, error: float, place: int, random: np.random.Generator) -> list[Measurement]:
    """Cells, members and means of the corruption set, relative to the baseline."""
    base, found = str(BASELINE), []
    for index, name in enumerate(COUNTED + SHOWN):
        hard = (0.52, 0.58, 0.06, 0.31, 0.22, 0.4)[index] * (1 - 0.09 * place)
        cells = [min(0.9, error + hard * (s / 5) ** 1.3 + 0.01 * random.standard_normal()) for s in range(1, 6)]
        found += [measurement(of, f"corruption/{name}/{s}", "top1_error", cell) for s, cell in enumerate(cells, 1)]
        ratio = 1.0 if of == BASELINE else 1 - 0.05 * place - 0.02 * index * (place > 1)
        bright = name == "brightness"
        relative = None if bright and place == 3 else ratio if of == BASELINE else ratio * (0.55 if bright else 0.97)
        note = (UNDEFINED if relative is None else CAUTION) if bright else None
        found += [
            measurement(of, f"corruption/{name}", "mean_error", float(np.mean(cells)), 0.03),
            measurement(of, f"corruption/{name}", "corruption_error", ratio, 0.05, base),
            measurement(
                of, f"corruption/{name}", "relative_corruption_error", relative, 0.31 if bright else 0.07, base, note
            ),
        ]
    ratio = 1.0 if of == BASELINE else 1.02 - 0.06 * place
    return [
        *found,
        measurement(of, "corruption", "mean_error", error + 0.19 - 0.02 * place, 0.024),
        measurement(of, "corruption", "mean_corruption_error", ratio, 0.04, base),
        measurement(of, "corruption", "relative_mean_corruption_error", min(ratio, 1.0), 0.12, base, CAUTION),
    ]


def perturbed(of: CheckpointName, place: int) -> list[Measurement]:
    """Members and means of the perturbation set, relative to the baseline."""
    base, found = str(BASELINE), []
    ratio = 1.0 if of == BASELINE else 1.08 - 0.11 * place
    for index, name in enumerate(PERTURBATIONS):
        flip = (0.094, 0.021, 0.052)[index] * ratio
        found += [
            measurement(of, f"perturbation/{name}", "flip_probability", flip, 0.15 * flip),
            measurement(of, f"perturbation/{name}", "flip_rate", ratio, 0.09, base),
        ]
    return [
        *found,
        measurement(of, "perturbation", "mean_flip_probability", 0.056 * ratio, 0.006),
        measurement(of, "perturbation", "mean_flip_rate", ratio, 0.07, base),
    ]


def reliability(error: float, random: np.random.Generator) -> list[ReliabilityBin]:
    """Fifteen bins, a few of them empty, most images at the confident end."""
    weights = np.array([0, 0, 1, 3, 6, 9, 12, 14, 17, 21, 26, 34, 49, 78, 230], dtype=float)
    counts = random.multinomial(N, weights / weights.sum())
    bins = []
    for index, count in enumerate(counts):
        low, high = index / 15, (index + 1) / 15
        confidence = round((low + high) / 2, 4)
        accuracy = round(float(np.clip(confidence - error * 0.4 + 0.04 * random.standard_normal(), 0, 1)), 4)
        full = {"accuracy": accuracy, "confidence": confidence} if count else {"accuracy": None, "confidence": None}
        bins.append(ReliabilityBin(low=low, high=high, count=int(count), **full))
    return bins


def confusion(error: float, random: np.random.Generator) -> list[list[int]]:
    """Fifty images a class, errors spread unevenly."""
    rows = []
    for index in range(10):
        spread = random.dirichlet(np.full(10, 0.4)) * error
        spread[index] += 1 - error
        rows.append([int(count) for count in random.multinomial(N // 10, spread / spread.sum())])
    return rows


def history(budget: int, final: float, start: float, held_out: float | None) -> list[HistoryPoint]:
    """Twelve moments of a training run, which ends at the accuracy `held_out` on validation images if they count."""
    steps = np.linspace(budget / 12, budget, 12)
    return [
        HistoryPoint(
            images=int(step),
            learning_rate=0.1 if step < budget / 2 else 0.01,
            loss=round(float(start * np.exp(-3 * step / budget) + 0.25), 4),
            accuracy=round(float(final * (1 - np.exp(-4 * step / budget))), 4),
            validation_accuracy=held_out and round(float(held_out * (1 - 0.4 * np.exp(-5 * step / budget))), 4),
        )
        for step in steps
    ]


def selection(teacher: CheckpointName, place: int, random: np.random.Generator) -> SelectionRecord:
    """Pseudo-labels per class, some classes filled by copies and some cut."""
    above = random.integers(700 + 250 * place, 2600 + 300 * place, 10)
    above[3] = 0 if place == 1 else 380 + 210 * place
    kept = np.minimum(above, above.min() + 1000)
    copies = np.maximum(0, 1600 - kept - 400)
    counts = {"above_threshold": above.tolist(), "kept": kept.tolist(), "duplicates": copies.tolist()}
    shares = np.clip(0.86 + 0.02 * place + 0.05 * np.cos(np.arange(10) * 2.1), 0, 1)
    right = np.round(kept * shares)
    return SelectionRecord(
        teacher=str(teacher),
        confidence_threshold=0.8,
        available=44000,
        accuracy=round(float(right.sum() / kept.sum()), 4),
        class_accuracy=[round(float(n / of), 4) if of else None for n, of in zip(right, kept, strict=True)],
        labeled=[400] * 10,
        **counts,
    )


ROLES = {BASELINE: "baseline", CONTROL: "control"}


def checkpoint(name: CheckpointName, parent: CheckpointName | None, chosen: SelectionRecord | None) -> CheckpointRecord:
    """One trained network."""
    role = "student" if parent else ROLES.get(name, "teacher")
    images = 16000 if name == CONTROL else 4000
    if chosen is not None:
        images = sum(chosen.labeled) + sum(chosen.kept) + sum(chosen.duplicates)
    noisy = role in ("student", "control")
    budget = 600_000 if noisy else 200_000
    return CheckpointRecord(
        **name.model_dump(),
        role=role,
        objective="self-training" if parent else "supervised",
        parent=str(parent) if parent else None,
        parameters={"resnet8": 77850, "resnet14": 173562, "resnet20": 269818}[name.network],
        images_seen=budget,
        training_images=images,
        weights_selection="last",
        averaged=False,
        precision="float32",
        micro_batch=0,
        initial_weights="",
        weights_sha256=f"{name.generation + {'baseline': 7, 'control': 9}.get(role, 0):x}" * 64,
        selection=chosen,
        history=history(
            budget,
            0.6 + 0.03 * name.generation if noisy else 0.93,
            2.2 - 0.1 * name.generation,
            0.8 if name == CHAIN[-1] else None,
        ),
    )


def benchmarks() -> list[BenchmarkSet]:
    """Two sets, both less than the official ones."""
    corruption = "nsbench-c v1 (5 of 15 corruptions, first 500 test images)"
    perturbation = "nsbench-p v1 (3 of 10 perturbations, first 500 test images)"
    rest = ["shot_noise", "motion_blur", "zoom_blur", "spatter", "rotate", "tilt", "scale"]
    part = {"images": N, "complete": False}
    made = {**part, "seed": 0}
    corruptions = {"counted": COUNTED, "shown": SHOWN, "missing": MISSING, "severities": [1, 2, 3, 4, 5]}
    return [
        BenchmarkSet(kind="clean", name="CIFAR-10 test, first 500 images", **part),
        BenchmarkSet(kind="fgsm", name="CIFAR-10 test, first 500 images", **part),
        BenchmarkSet(kind="corruption", name=corruption, **corruptions, **made),
        BenchmarkSet(kind="perturbation", name=perturbation, counted=PERTURBATIONS, missing=rest, **made),
    ]


def comparisons() -> list[Measurement]:
    """Each student against its teacher: clearly better, unclear, unclear; the last one clearly beats the control."""
    found = []
    pairs = [(place, CHAIN[place - 1], ERRORS[place - 1], p) for place, p in ((1, 0.0007), (2, 0.072), (3, 0.61))]
    for place, other, error, p_value in [*pairs, (3, CONTROL, CONTROL_ERROR, 0.019)]:
        change = ERRORS[place] - error
        found.append(measurement(CHAIN[place], "clean", "top1_error_difference", change, 0.028, str(other)))
        test = measurement(CHAIN[place], "clean", "mcnemar_p_value", p_value, None, str(other))
        found.append(test.model_copy(update={"ci_low": None, "ci_high": None}))
    return found


def samples() -> list[SampleImage]:
    """A strip for each corruption and perturbation, and one of input noise."""
    strips = [("corruption", name, "clean, then severities 1 to 5") for name in COUNTED + SHOWN]
    strips += [("perturbation", name, "frames 1, 7, 13, 19, 25 and 31") for name in PERTURBATIONS]
    strips.append(("noise", "RandAugment", "one image, six draws of input noise"))
    return [
        SampleImage(kind=kind, name=name, file=f"samples/{kind}-{name}.png", caption=caption)
        for kind, name, caption in strips
    ]


def made_up_results() -> Results:
    """The whole record."""
    random = np.random.default_rng(0)
    errors = [*ERRORS, 0.252, CONTROL_ERROR]
    names = [*CHAIN, BASELINE, CONTROL]
    measured: list[Measurement] = comparisons()
    shown: list[Diagnostics] = []
    for place, (name, error) in enumerate(zip(names, errors, strict=True)):
        rank = {BASELINE: 0, CONTROL: 1}.get(name, place)
        measured += clean(name, error, (0.112, 0.071, 0.052, 0.043, 0.098, 0.064)[place])
        measured += attacked(name, error, rank) + corrupted(name, error, rank, random) + perturbed(name, rank)
        shown.append(
            Diagnostics(**name.model_dump(), reliability=reliability(error, random), confusion=confusion(error, random))
        )
    chain = [checkpoint(CHAIN[0], None, None)]
    chain += [checkpoint(CHAIN[g], CHAIN[g - 1], selection(CHAIN[g - 1], g, random)) for g in (1, 2, 3)]
    return Results(
        name="cifar10-small",
        config={
            "name": "cifar10-small",
            "seed": 0,
            "data": {"name": "cifar10", "labeled_fraction": 0.1, "validation_fraction": 0.1},
            "study": {"networks": NETWORKS, "objective": "self-training", "control": True},
            "pseudo_labels": {"type": "hard", "confidence_threshold": 0.8},
            "distillation": {"temperature": 4.0, "weight": 0.9},
            "transfer": {"weights": "", "roles": ["teacher"], "train": "all"},
            "training": {"batch": 512, "learning_rate": 0.1, "teacher_images": 200000, "student_images": 600000},
            "noise": {"operations": 2, "magnitude": 27, "dropout": 0.5, "survival": 0.8},
            "evaluation": {"images": N, "fgsm": [float(eps) for eps in EPSILONS]},
        },
        data=DatasetRecord(
            name="cifar10",
            title="CIFAR-10",
            licence="not stated by its authors; free for research",
            citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
            checksum="5f" * 32,
            classes=CLASSES,
            **{"labeled": 4000, "unlabeled": 44000, "validation": 500, "test": N},
        ),
        provenance=Provenance(
            **{"nsbench": "0.1.0", "python": "3.11.9", "torch": "2.7.0", "torchvision": "0.22.0", "numpy": "2.2.0"},
            **{"platform": "Linux x86_64", "device": "cpu", "threads": 2},
        ),
        baseline=str(BASELINE),
        checkpoints=[checkpoint(BASELINE, None, None), checkpoint(CONTROL, None, None), *chain],
        benchmarks=benchmarks(),
        measurements=measured,
        diagnostics=shown,
        samples=samples(),
        warnings=[
            f"{CHAIN[1]}: no unlabelled image of cat was above the confidence threshold 0.8; balancing filled those "
            "classes with copies of labelled images."
        ],
    )


if __name__ == "__main__":
    (Path(__file__).parent / "results.json").write_text(made_up_results().model_dump_json(indent=1) + "\n")
