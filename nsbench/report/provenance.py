"""Software, hardware, data, weights and configuration that the numbers come from."""

import json
from typing import Any

from nsbench.models.record import ModelRecord
from nsbench.report.lookup import Lookup
from nsbench.report.prose.wording import plural
from nsbench.report.stamp import spelled_out
from nsbench.report.tables.models import preprocessing


def facts(lookup: Lookup) -> list[tuple[str, str]]:
    """Software, hardware, data and seeds, as pairs of a name and a value."""
    data, made = lookup.results.data, lookup.results.provenance
    split = (("labelled", data.labeled), ("unlabelled", data.unlabeled), ("validation", data.validation))
    seeds = sorted({one.seed for one in lookup.checkpoints})
    return [
        ("Run", lookup.results.name),
        ("Baseline", lookup.results.baseline or "none: nothing is relative"),
        *([("Seed", ", ".join(map(str, seeds)))] if seeds else []),
        ("Data set", f"{data.title} ({data.name})"),
        (
            "Images",
            ", ".join([*(f"{n:,} {name}" for name, n in split if n or lookup.trained_here), f"{data.test:,} test"]),
        ),
        ("Checksum (SHA-256)", data.checksum),
        ("Licence", data.licence),
        ("Citation", data.citation),
        ("nsbench", made.nsbench),
        ("Python", made.python),
        ("PyTorch", f"{made.torch}, torchvision {made.torchvision}, NumPy {made.numpy}"),
        ("Platform", made.platform),
        ("Device", f"{made.device}, {plural(made.threads, 'thread')}"),
        *(
            (f"Benchmark, {one.attack or one.kind}", f"{one.name}; {one.images:,} images" + seed_text(one.seed))
            for one in lookup.results.benchmarks
        ),
        *weights(lookup),
        *(fact for one in lookup.results.models for fact in origin(one)),
    ]


def weights(lookup: Lookup) -> list[tuple[str, str]]:
    """Checksums of the weights of a run."""
    started = [
        (f"Weights that {spelled_out(lookup.label(one))} started from", one.initial_weights)
        for one in lookup.checkpoints
        if one.initial_weights
    ]
    return started + [(f"Weights, {spelled_out(lookup.label(one))}", one.weights_sha256) for one in lookup.checkpoints]


def origin(one: ModelRecord) -> list[tuple[str, str]]:
    """Where a model came from and what identifies it."""
    return [
        (f"Model, {one}", f"{one.source} ({one.kind}); preprocessing: {preprocessing(one)}"),
        (f"Weights, {one}", one.weights_sha256 or "no file of weights was named"),
        (f"Weights and code (SHA-256), {one}", one.identity),
    ]


def seed_text(seed: int | None) -> str:
    """The seed of generated images."""
    return "" if seed is None else f"; seed {seed}"


def configuration(config: dict[str, Any], prefix: str = "") -> str:
    """Every setting on a line of its own, as dotted.key = value."""
    lines = []
    for key, value in config.items():
        name = f"{prefix}{key}"
        nested = isinstance(value, dict) and value
        lines.append(
            configuration(value, f"{name}.") if nested else f"{name} = {json.dumps(value, ensure_ascii=False)}"
        )
    return "\n".join(lines)
