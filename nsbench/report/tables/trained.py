"""How networks were trained, where it is out of the ordinary."""

from typing import Any

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.lookup import Lookup
from nsbench.report.prose.wording import plural
from nsbench.report.stamp import TEST_SELECTED

KEPT = {
    "last": "those of the last step",
    "best-validation": "those with the best accuracy on held-out images",
    "best-test": f"those with the best accuracy on the test images ({TEST_SELECTED})",
}


def weights_kept(lookup: Lookup) -> str:
    """Which weights of a training run were kept, without a full stop."""
    found = {one.weights_selection for one in lookup.checkpoints}
    return f"Weights kept: {' or '.join(words for name, words in KEPT.items() if name in found)}"


def how_trained(lookup: Lookup) -> str:
    """The weights that were kept, and every departure from a random start, float32 and whole batches."""
    return " ".join(f"{sentence}." for sentence in (weights_kept(lookup), *departures(lookup)))


def departures(lookup: Lookup) -> list[str]:
    """What departs from the usual, and for which networks, without full stops; a plain run has none."""
    found: dict[str, list[CheckpointRecord]] = {}
    for words in (distilled, averaged, reduced, divided, transferred):
        for one in lookup.checkpoints:
            if text := words(one, lookup.results.config):
                found.setdefault(text, []).append(one)
    return [f"{text}: {who(lookup, ones)}" for text, ones in found.items()]


def who(lookup: Lookup, found: list[CheckpointRecord]) -> str:
    """Checkpoints by their short names."""
    everyone = len(found) == len(lookup.checkpoints) > 1
    return "all networks" if everyone else ", ".join(lookup.generation(one) for one in found)


def distilled(one: CheckpointRecord, config: dict[str, Any]) -> str:
    """What a student learned, where that is not pseudo-labels."""
    if one.method != "distillation":
        return ""
    settings = config.get("distillation") or config["method"]  # where records of earlier versions have them
    temperature, weight = settings["temperature"], settings["weight"]
    return f"Distilled from the teacher at temperature {temperature:g}, weight {weight:g}"


def averaged(one: CheckpointRecord, _: dict[str, Any]) -> str:
    """Whether the weights are those of one step."""
    return "Weights averaged over the steps" if one.averaged else ""


def reduced(one: CheckpointRecord, _: dict[str, Any]) -> str:
    """The arithmetic, where it is not float32."""
    return "" if one.precision == "float32" else f"Trained in {one.precision}"


def divided(one: CheckpointRecord, _: dict[str, Any]) -> str:
    """The parts of a batch, where memory forced them."""
    return f"Batches in parts of {plural(one.micro_batch, 'image')} to fit the memory" if one.micro_batch else ""


def transferred(one: CheckpointRecord, config: dict[str, Any]) -> str:
    """The weights that training started from, where they were not random."""
    if not one.initial_weights:
        return ""
    only = ", only the last layer trained" if config["transfer"]["train"] == "head" else ""
    return f"Started from trained weights {one.initial_weights[:8]}{only}"
