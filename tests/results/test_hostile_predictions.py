"""Predictions that do not belong to a record: refused in a sentence where models are compared, never a number."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nsbench.errors import UserError
from nsbench.predictions.expected import Expected
from nsbench.predictions.store import Stored
from nsbench.results.compare.sides import Side
from nsbench.results.compare.versus import Choice, Versus, versus
from nsbench.results.record import Results
from tests.results.small import CONFIG, HELD_OUT, N, evaluated

EVERYTHING = Choice(everything=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """A folder with two models, and its record."""
    folder = tmp_path_factory.mktemp("made")
    return folder, evaluated(folder, {"base": 1.5, "own": 2.0}, "base")


def compared(folder: Path, results: Results, model: str = "own") -> Versus:
    """A model of a folder against the baseline."""
    return versus(Side(folder, results, model), Side(folder, results, "base"), EVERYTHING)


def test_a_baseline_whose_name_is_a_path_is_not_looked_for(made: tuple[Path, Results]) -> None:
    folder, results = made
    stray = results.model_copy(update={"baseline": "../../elsewhere"})
    with pytest.raises(UserError, match=r"The name '\.\./\.\./elsewhere' cannot be part of a path"):
        compared(folder, stray)


def test_a_record_of_other_classes_is_refused(made: tuple[Path, Results]) -> None:
    folder, results = made
    data = results.data.model_copy(update={"classes": [*results.data.classes, "one more"]})
    with pytest.raises(UserError, match=r"clean cannot be used .*\(300, 10\) instead of float32 \(300, 11\)"):
        compared(folder, results.model_copy(update={"data": data}))
    fewer = results.data.model_copy(update={"classes": results.data.classes[:7]})
    with pytest.raises(UserError, match="does not hold labels of 7 classes"):
        compared(folder, results.model_copy(update={"data": fewer}))


@pytest.mark.parametrize("field", ["attack_images", "strong_attack_images", "corruption_images", "perturbation_images"])
def test_a_record_of_other_numbers_of_images_is_refused(made: tuple[Path, Results], field: str) -> None:
    folder, results = made
    config = results.config | {"evaluation": results.config["evaluation"] | {field: 77}}
    with pytest.raises(
        UserError, match=r"cannot be used \(.* instead of .*77.*\): run the same `nsbench evaluate` again"
    ):
        compared(folder, results.model_copy(update={"config": config}))


def test_what_a_folder_should_hold_is_known_without_models(made: tuple[Path, Results]) -> None:
    folder, _ = made
    expected, stored = Expected(CONFIG, N, HELD_OUT, 10), Stored(folder, "own")
    assert {"clean", "held-out", "fgsm", "pgd", "corruption/contrast-5", "perturbation/snow"} < set(stored.cells())
    assert [expected.fault(stored, cell) for cell in stored.cells()] == [None] * len(stored.cells())
    assert {replace(expected, test=N + 1, classes=9).fault(stored, cell) for cell in ("clean", "fgsm")} == {
        "its logits are float32 (300, 10) instead of float32 (301, 9)",
        "its logits are float32 (2, 200, 10) instead of float32 (2, 200, 9)",
    }
    assert expected.fault(stored, "corruption/snow-1") == "it cannot be read (No such file or directory)"


def test_confidences_and_classes_that_a_model_may_say_are_no_fault(tmp_path: Path) -> None:
    stored = Stored(tmp_path, "own")
    edge = {"predicted": np.array([0, 9], np.uint8), "confidence": np.array([0.1, 1.0], np.float32)}
    stored.save("corruption/fog-1", edge, "made-up", "v1")
    assert stored.fault("corruption/fog-1", 2, 10) is None
