"""A folder with stored predictions of small made-up models, and the record assembled from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics.classification import softmax
from nsbench.models.record import ModelRecord
from nsbench.predictions.kinds import Arrays
from nsbench.predictions.store import Stored, corruption_cell, perturbation_cell, save_labels
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P
from nsbench.results.assemble import Setup, assemble, model_pairs
from nsbench.results.record import DatasetRecord, Provenance, Results
from nsbench.results.store import save_results

CLASSES = 10
N, HELD_OUT, FEWER = 300, 400, 200

CONFIG = EvaluationConfig(
    corruptions=("gaussian_noise", "gaussian_blur", "contrast"),
    corruption_images=FEWER,
    perturbations=("gaussian_noise", "translate", "snow"),
    perturbation_images=FEWER,
    fgsm_epsilons=(0.0, 8 / 255),
    attacks=("pgd",),
    attack_epsilons=(8 / 255,),
    attack_images=FEWER,
    strong_attack_images=150,
    bootstrap_resamples=200,
)


@dataclass
class Names:
    """Names of sets of images, as a source has them."""

    corruptions: str = "made-up-c v1"
    perturbations: str = "made-up-p v1"
    seed: int | None = 0


def labels() -> tuple[np.ndarray, np.ndarray]:
    """True classes of the test images and of the held-out ones."""
    random = np.random.default_rng(0)
    return random.integers(CLASSES, size=N), random.integers(CLASSES, size=HELD_OUT)


def logits_of(classes: np.ndarray, skill: float, random: np.random.Generator) -> np.ndarray:
    """Logits (n, K) that point at the classes the more often the larger the skill."""
    found = random.normal(0, 1, (len(classes), CLASSES))
    found[np.arange(len(classes)), classes] += skill
    return (2 * found).astype(np.float32)


def cells_of(config: EvaluationConfig, skill: float, seed: int) -> dict[str, Arrays]:
    """Predictions of a model for everything that is measured."""
    test, held_out = labels()
    make = partial(logits_of, random=np.random.default_rng(seed))
    found: dict[str, Arrays] = {
        "clean": {"logits": make(test, skill)},
        "held-out": {"logits": make(held_out, skill)},
        "fgsm": {
            "logits": np.stack([make(test[:FEWER], skill - 30 * epsilon) for epsilon in config.fgsm_epsilons]),
            "zero_gradient": np.arange(FEWER) % 50 == 0,
        },
        "pgd": {"logits": np.stack([make(test[:150], skill - 60 * epsilon) for epsilon in config.attack_epsilons])},
    }
    for name in config.corruptions:
        for severity in CIFAR10_C.severities:
            probabilities = softmax(make(test[:FEWER], skill - severity / 2))
            predicted, confidence = probabilities.argmax(1).astype(np.uint8), probabilities.max(1).astype(np.float32)
            found[corruption_cell(name, severity)] = {"predicted": predicted, "confidence": confidence}
    random = np.random.default_rng(seed)
    for moving in config.perturbations:
        jumps = random.random((FEWER, CIFAR10_P.member(moving).frames)) < 0.2 / (1 + skill)
        found[perturbation_cell(moving)] = {"predicted": (jumps.cumsum(1) % CLASSES).astype(np.uint8)}
    return found


def write_model(
    run: Path, name: str, *, skill: float = 2.0, seed: int = 1, config: EvaluationConfig = CONFIG, images: str = "v1"
) -> None:
    """Store the predictions of one model; `images` names the corrupted images."""
    save_labels(run, *labels())
    for cell, arrays in cells_of(config, skill, seed).items():
        which = f"{cell} {images}" if cell.startswith("corruption/") else cell
        Stored(run, name).save(cell, arrays, fingerprint="made-up", image_identity=which)


def model_record(name: str) -> ModelRecord:
    """The description of a foreign model."""
    return ModelRecord(
        name=name,
        source=f"{name}.py:make",
        kind="function",
        parameters=10,
        weights_sha256="",
        mean=None,
        std=None,
        identity=f"identity of {name}",
    )


def checkpoint_record(name: str, role: str, parent: str | None = None, **changes: Any) -> CheckpointRecord:
    """The description of a network of ours called STUDY/seedK/genI-NETWORK."""
    study, seed, last = name.split("/")
    generation, _, network = last.partition("-")
    fields: dict[str, Any] = {
        "study": study,
        "generation": int(generation[3:]),
        "network": network,
        "seed": int(seed[4:]),
        "role": role,
        "method": "noisy-student" if parent else "supervised",
        "parent": parent,
        "parameters": 100,
        "images_seen": 1000,
        "training_images": 500,
        "weights_selection": "last",
        "averaged": False,
        "precision": "float32",
        "micro_batch": 0,
        "initial_weights": "",
        "configuration": {"data": {"labeled_fraction": 0.1}},
        "weights_sha256": f"weights of {name}",
        "selection": None,
        "history": [],
    }
    return CheckpointRecord.model_validate(fields | changes)


def setup_of(run: Path, records: Sequence[Any], baseline: str | None, config: EvaluationConfig = CONFIG) -> Setup:
    """All that a record of these models is made from."""
    return Setup(
        name="small",
        config={"name": "small"},
        seed=0,
        evaluation=config,
        data=DatasetRecord(
            name="made-up",
            title="Made up",
            licence="none",
            citation="none",
            checksum="0",
            classes=[f"class {number}" for number in range(CLASSES)],
            labeled=0,
            unlabeled=0,
            validation=HELD_OUT,
            test=N,
        ),
        source=Names(),
        run=run,
        records=records,
        baseline=baseline,
        provenance=Provenance(
            nsbench="0",
            python="3",
            torch="2",
            torchvision="0",
            numpy="2",
            platform="none",
            device="cpu",
            threads=1,
        ),
        samples=[],
        warnings=[],
        pairs=model_pairs([str(record) for record in records], baseline),
    )


def evaluated(run: Path, skills: dict[str, float], baseline: str | None, **changes: Any) -> Results:
    """A folder of models with these skills, measured; returns its record."""
    for seed, (name, skill) in enumerate(skills.items(), start=1):
        write_model(run, name, skill=skill, seed=seed)
    setup = setup_of(run, [model_record(name) for name in skills], baseline)
    results = assemble(replace(setup, **changes))
    save_results(run, results)
    return results
