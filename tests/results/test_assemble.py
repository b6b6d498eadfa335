"""The record is put together from the right pairs of checkpoints."""

from pathlib import Path

import pytest

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.results.assemble import opponents
from nsbench.results.record import Results

GOLDEN = Path(__file__).parents[1] / "report" / "golden" / "results.json"


@pytest.fixture(scope="module")
def records() -> dict[str, CheckpointRecord]:
    """A teacher, three students, a control and a baseline."""
    found = Results.model_validate_json(GOLDEN.read_text()).checkpoints
    return {str(one): one for one in found}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hard/seed0/gen0-resnet8", []),
        ("control/seed0/gen0-resnet20", []),
        ("supervised/seed0/gen0-resnet20", []),
        ("hard/seed0/gen1-resnet8", ["hard/seed0/gen0-resnet8", "supervised/seed0/gen0-resnet20"]),
        (
            "hard/seed0/gen2-resnet14",
            ["hard/seed0/gen1-resnet8", "hard/seed0/gen0-resnet8", "supervised/seed0/gen0-resnet20"],
        ),
        (
            "hard/seed0/gen3-resnet20",
            [
                "hard/seed0/gen2-resnet14",
                "hard/seed0/gen0-resnet8",
                "supervised/seed0/gen0-resnet20",
                "control/seed0/gen0-resnet20",
            ],
        ),
    ],
)
def test_students_meet_their_teachers_and_the_baseline_and_the_last_one_the_control(
    records: dict[str, CheckpointRecord], name: str, expected: list[str]
) -> None:
    assert opponents(records[name], records, records["supervised/seed0/gen0-resnet20"]) == expected


def test_a_control_of_another_seed_is_no_opponent(records: dict[str, CheckpointRecord]) -> None:
    control = records["control/seed0/gen0-resnet20"].model_copy(update={"seed": 1})
    others = {str(one): one for one in [control, *records.values()] if one.role != "control" or one.seed == 1}
    found = opponents(records["hard/seed0/gen3-resnet20"], others, records["supervised/seed0/gen0-resnet20"])
    assert len(found) == 3
