"""Damaged predictions are refused in one sentence or made again; they never give another number."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from nsbench.predictions.sealed import origin_of, sealed
from tests.conftest import Command
from tests.fuzz.damage import (
    ARRAYS,
    BYTES,
    TREE,
    Change,
    changes,
    chunks,
    in_arrays,
    in_bytes,
    in_tensor_file,
    in_tensor_header,
    places,
)
from tests.fuzz.judge import Tally, UnsoundError, Workshop, profile, ran
from tests.fuzz.test_records import numbers_in

pytestmark = [pytest.mark.slow, pytest.mark.training]

Record = Callable[[str, object], None]
Damage = tuple[str, list[Change]]
damage = st.one_of(
    st.tuples(st.just("bytes"), changes(BYTES, chunks)),
    st.tuples(st.just("header"), changes(TREE, most=2)),
    st.tuples(st.just("arrays"), changes(ARRAYS, most=2)),
)
COMPARED = "run/predictions/hard/seed0/gen1-resnet8-w0.125/", "run/predictions/labels.safetensors"


def damaged(content: bytes, done: Damage) -> bytes:
    """A safetensors file with changes; those of arrays and headers first meet what can still be read."""
    family, all_changes = done
    for change in all_changes:
        try:
            content = {"bytes": in_bytes, "header": in_tensor_header, "arrays": in_tensor_file}[family](content, change)
        except Exception:  # noqa: BLE001 - safetensors does not write what was drawn, or cannot read it any more
            break
    return content


def test_damaged_predictions_are_refused_in_one_sentence_or_give_the_same_comparison(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("predictions, compare")
    names = [name for name in workshop.names(end=".safetensors") if name.startswith(COMPARED)]
    words = ["compare", str(workshop.base / "run"), str(workshop.base / "other"), "--all", "--format", "json"]
    expected = ran(nsbench, *words)
    assert expected is not None

    @profile(0.07)
    @given(places, damage)
    def case(which: int, done: Damage) -> None:
        name = names[which % len(names)]
        with tally.case(name, done) as came, workshop.case("nothing"):
            workshop.write(name, damaged(workshop.original(name), done))
            found = ran(nsbench, *words)
            if found is not None and found != expected:
                raise UnsoundError("other numbers")
            came("refused" if found is None else "the same")

    case()
    tally.close(record_property)


def test_damaged_predictions_are_made_again_with_the_same_bytes(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("predictions, evaluate")
    names = workshop.names("run/predictions/", ".safetensors")

    @profile(0.012)
    @given(places, damage)
    def case(which: int, done: Damage) -> None:
        name = names[which % len(names)]
        with tally.case(name, done) as came, workshop.case("run/environment.json"):
            content = damaged(workshop.original(name), done)
            workshop.write(name, content)
            if ran(nsbench, "evaluate", str(workshop.base / "run"), "--device", "cpu", "--quiet") is None:
                raise UnsoundError("refused, although it can be made again")
            if (workshop.base / name).read_bytes() != workshop.original(name):
                raise UnsoundError("the damaged file is still there")
            came("as it was" if content == workshop.original(name) else "made again")

    case()
    tally.close(record_property)


def test_predictions_that_a_stranger_sealed_are_refused_in_one_sentence_or_give_finite_numbers(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("predictions, sealed anew")
    names = [name for name in workshop.names(end=".safetensors") if name.startswith(COMPARED)]
    run = str(workshop.base / "run")

    @profile(0.04)
    @given(places, changes(ARRAYS, most=2), st.sampled_from([False] * 5 + [True]))
    def case(which: int, done: list[Change], measured: bool) -> None:
        name = names[which % len(names)]
        with tally.case(name, done, measured) as came, workshop.case("run/" if measured else "nothing"):
            arrays = load(workshop.original(name))
            for change in done:
                arrays = in_arrays(arrays, change)
            workshop.write(name, sealed(arrays, origin_of(workshop.base / name) or ""))
            if measured:
                if ran(nsbench, "evaluate", run, "--device", "cpu", "--quiet") is None:
                    raise UnsoundError("refused, although it can be made again")
                numbers_in((workshop.base / "run" / "results.json").read_text())
                came("measured")
                return
            found = ran(nsbench, "compare", run, str(workshop.base / "other"), "--all", "--format", "json")
            if found is not None:
                numbers_in(found)
            came("refused" if found is None else "compared")

    case()
    tally.close(record_property)
