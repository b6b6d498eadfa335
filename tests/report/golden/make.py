"""Write `results.json`: a made-up run with the size and the oddities of a real one.

A teacher, three students with a control each, and a baseline on 500 images; incomplete sets, cautions, undefined
numbers. `make_seeds.py` makes a smaller run with three seeds from the same parts.
"""

from pathlib import Path

import numpy as np
from made_up import (
    Measured,
    cifar10,
    comparison,
    confusion,
    headlines,
    plain_set,
    provenance,
    reliability,
    samples,
    write,
)

from nsbench.checkpoints.record import CheckpointName, CheckpointRecord, HistoryPoint, SelectionRecord
from nsbench.results.measured import BenchmarkSet, Comparison, Measurement
from nsbench.results.record import Diagnostics, Results

N, MOVED = 500, 200
COUNTED = ["gaussian_noise", "impulse_noise", "brightness", "contrast", "jpeg_compression"]
SHOWN = ["gaussian_blur"]
MISSING = ["shot_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow", "frost", "fog"]
MISSING += ["elastic_transform", "pixelate"]
PERTURBATIONS = ["gaussian_noise", "brightness", "translate"]
EPSILONS = ["0", "0.01", "0.02", "0.03", "0.04", "0.05", "0.06", "0.08", "0.1"]
STRONG = ["0.01", "0.03", "0.05"]
NETWORKS = ["resnet8", "resnet8", "resnet14", "resnet20"]
ERRORS = [0.276, 0.232, 0.206, 0.198]
CONTROL_ERRORS = [0.262, 0.238, 0.231]
BASELINE = CheckpointName(study="supervised", generation=0, network="resnet20", seed=0)
CONTROLS = [
    CheckpointName(study="control", generation=g, network=network, seed=0) for g, network in enumerate(NETWORKS) if g
]
CHAIN = [CheckpointName(study="hard", generation=g, network=network, seed=0) for g, network in enumerate(NETWORKS)]
CAUTION = "the baseline's error grows by only 1.2 points here, so the ratio is ill-conditioned"
UNDEFINED = "the baseline's error does not grow under this corruption, so the ratio is undefined"
SATURATED = "over 5 % of the gradients are zero: the attack is partly blind"
MASKED = "The gradient is zero for 6.2 % of the images, which no attack by gradient can move."


OVERSHOOT = "One-step FGSM leaves more accuracy at eps 0.1 than at 0.08: a long step overshoots."


def measurements(
    of: str, error: float, calibration: float, rank: int, random: np.random.Generator, baseline: str = str(BASELINE)
) -> list[Measurement]:
    """All numbers of one network; perturbations on fewer images than the rest."""
    made, moved = Measured(of, N, baseline), Measured(of, MOVED, baseline)
    made.clean(error, calibration)
    made.scaled(error, calibration)
    made.attacked("fgsm", EPSILONS, error, 19 - 2 * rank)
    made.attacked("pgd", STRONG, error, 26 - 2 * rank)
    zero = 0.062 if rank == 3 else 0.004
    made.add("fgsm", "zero_gradients", zero, note=SATURATED if zero > 0.05 else None)
    notes = {"brightness": UNDEFINED if rank == 3 else CAUTION}
    made.corrupted(COUNTED + SHOWN, error, rank, random, notes)
    made.corruption_means(error, rank, CAUTION)
    moved.perturbed(PERTURBATIONS, error + 0.01, rank)
    return made.found + moved.found


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


def checkpoint(name: CheckpointName, parent: CheckpointName | None, chosen: SelectionRecord | None) -> CheckpointRecord:
    """One trained network; its study says what it is for."""
    role = "student" if parent else {"supervised": "baseline", "control": "control"}.get(name.study, "teacher")
    images = 16000 if role == "control" else 4000
    if chosen is not None:
        images = sum(chosen.labeled) + sum(chosen.kept) + sum(chosen.duplicates)
    noisy = role in ("student", "control")
    budget = 600_000 if noisy else 200_000
    place = name.generation + {"baseline": 7, "control": 9}.get(role, 0)
    return CheckpointRecord(
        **name.model_dump(),
        role=role,
        method="noisy-student" if parent else "supervised",
        parent=str(parent) if parent else None,
        parameters={"resnet8": 77850, "resnet14": 173562, "resnet20": 269818}[name.network],
        images_seen=budget,
        training_images=images,
        weights_selection="last",
        averaged=False,
        precision="float32",
        micro_batch=0,
        initial_weights="",
        configuration={"network": name.network, "role": role, "images": budget},
        weights_sha256=f"{place:x}" * 64,
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
    perturbation = "nsbench-p v1 (3 of 10 perturbations, first 200 test images)"
    rest = ["shot_noise", "motion_blur", "zoom_blur", "spatter", "rotate", "tilt", "scale"]
    corruptions = {"counted": COUNTED, "shown": SHOWN, "missing": MISSING, "severities": [1, 2, 3, 4, 5]}
    return [
        plain_set("clean", "CIFAR-10 test, first 500 images", N, False),
        plain_set(
            "scaled", "test set (500 images), logits divided by a temperature fitted on 500 held-out images", N, False
        ),
        plain_set("attack", "CIFAR-10 test, first 500 images", N, False, attack="fgsm"),
        plain_set(
            "attack", "PGD, 20 steps of 0.125 eps, 1 random start (first 500 test images)", N, False, attack="pgd"
        ),
        plain_set("corruption", corruption, N, False, seed=0, **corruptions),
        plain_set("perturbation", perturbation, MOVED, False, seed=0, counted=PERTURBATIONS, missing=rest),
    ]


CONTROL_FAMILY, TEACHER_FAMILY = "students against their controls", "students against their teachers"
FIRST_FAMILY, BASELINE_FAMILY = "students against the first teacher", "students against the baseline"


def comparisons(measured: list[Measurement]) -> list[Comparison]:
    """Students in all headline numbers: the first clearly beats its teacher, the next two do not.

    The last one has less error than its control and a larger calibration error.
    """
    found = []
    for place in (1, 2, 3):
        others = [(CHAIN[place - 1], TEACHER_FAMILY), (CONTROLS[place - 1], CONTROL_FAMILY)]
        others += [(CHAIN[0], FIRST_FAMILY)] * (place > 1) + [(BASELINE, BASELINE_FAMILY)]
        for other, family in others:
            found += headlines((str(CHAIN[place]), str(other)), measured, family)
    pair = (str(CHAIN[3]), str(BASELINE))
    ratio = ("corruption", "mean_corruption_error")
    found.append(comparison(pair, ratio, (0.84, 1.0), 0.17, 0.08, N, BASELINE_FAMILY))
    return sorted(found, key=lambda one: FAMILIES.index(one.family))


FAMILIES = [CONTROL_FAMILY, TEACHER_FAMILY, FIRST_FAMILY, BASELINE_FAMILY]


def diagnostics(of: str, error: float, rank: int, seed: int, random: np.random.Generator) -> Diagnostics:
    """What a picture shows."""
    return Diagnostics(
        model=of,
        reliability=reliability(N, error, random),
        scaled_reliability=reliability(N, error, np.random.default_rng(seed), 0.05),
        masking=[MASKED] if rank == 3 else [],
        overshoot=[OVERSHOOT] if rank == 0 else [],
        confusion=confusion(N // 10, error, random),
    )


def made_up_results() -> Results:
    """The whole record."""
    random = np.random.default_rng(0)
    errors = [*ERRORS, 0.252, *CONTROL_ERRORS]
    names = [*CHAIN, BASELINE, *CONTROLS]
    gaps = (0.112, 0.071, 0.052, 0.043, 0.098, 0.048, 0.036, 0.024)
    measured: list[Measurement] = []
    shown: list[Diagnostics] = []
    for place, (name, error, gap) in enumerate(zip(names, errors, gaps, strict=True)):
        rank = {"supervised": 0, "control": 1}.get(name.study, place)
        measured += measurements(str(name), error, gap, rank, random)
        shown.append(diagnostics(str(name), error, rank, place, random))
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
        data=cifar10(labeled=4000, unlabeled=44000, validation=500, test=N),
        provenance=provenance(),
        baseline=str(BASELINE),
        checkpoints=[*(checkpoint(one, None, None) for one in (BASELINE, *CONTROLS)), *chain],
        benchmarks=benchmarks(),
        measurements=measured,
        comparisons=comparisons(measured),
        diagnostics=shown,
        samples=samples(COUNTED + SHOWN, PERTURBATIONS, noise=True),
        warnings=[
            f"{CHAIN[1]}: no unlabelled image of cat was above the confidence threshold 0.8; balancing filled those "
            "classes with copies of labelled images."
        ],
    )


if __name__ == "__main__":
    write(made_up_results(), Path(__file__).parent / "results.json")
