"""Whatever is damaged in a run folder, `nsbench verify` looks at it without harm, and finds what has a checksum."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given

from tests.conftest import Command
from tests.fuzz.damage import BYTES, Change, changes, chunks, in_bytes, places
from tests.fuzz.judge import KEPT, Tally, UnsoundError, Workshop, profile, ran

pytestmark = [pytest.mark.slow, pytest.mark.training]

SEALED = ("run/predictions/", "run/networks/", "run/report/tables/", "run/report/figures/", "run/metrics.csv")
UNSEALED = ("history.csv", "checkpoint.json")
"""A description may be written otherwise and say the same; a history is a copy of what it says."""


def test_damage_anywhere_in_a_run_is_named_or_needs_no_name(
    nsbench: Command, workshop: Workshop, record_property: Callable[[str, object], None]
) -> None:
    tally = Tally("all files, verify")
    run = str(workshop.base / "run")
    names = [name for name in workshop.names("run/") if Path(name).name not in (*KEPT, "environment.json")]
    assert ran(nsbench, "verify", run) is not None

    @profile(0.03)
    @given(places, changes(BYTES, chunks))
    def case(which: int, done: list[Change]) -> None:
        name = names[which % len(names)]
        with tally.case(name, done) as came, workshop.case("nothing"):
            content = workshop.original(name)
            for change in done:
                content = in_bytes(content, change)
            workshop.write(name, content)
            whole = ran(nsbench, "verify", run) is not None
            sealed = name.startswith(SEALED) and not name.endswith(UNSEALED)
            if whole and sealed and content != workshop.original(name):
                raise UnsoundError("damage was not found")
            came("whole" if whole else "named")

    case()
    tally.close(record_property)
