"""What a number measures: its fields, its text, and the record that has them."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nsbench.protocols.registry import registered
from nsbench.results.key import KINDS, Key, own_protocol, parsed
from nsbench.results.measured import Measurement
from nsbench.results.record import Results

GOLDEN = Path(__file__).parents[1] / "report" / "golden" / "models.json"
STRENGTHS = st.one_of(st.integers(1, 255).map(lambda steps: steps / 255), st.integers(0, 100).map(lambda n: n / 100))
NAMES = st.sampled_from(["fog", "gaussian_noise", "jpeg_compression"])
CELLS = st.builds(
    Key, st.just("corruption"), st.just("top1_error"), st.sampled_from(["cifar10-c", "cifar10-c-bar"]), NAMES
)
KEYS = st.one_of(
    st.builds(Key, st.sampled_from(["clean", "scaled"]), st.just("brier_score")),
    st.builds(
        Key, st.just("attack"), st.just("top1_error"), member=st.sampled_from(["fgsm", "pgd"]), strength=STRENGTHS
    ),
    CELLS,
    st.builds(Key, st.just("corruption"), st.just("top1_error"), st.just("cifar10-c"), NAMES, st.integers(1, 5)),
    st.builds(Key, st.just("perturbation"), st.just("flip_rate"), st.sampled_from(["cifar10-p", "other"])),
    st.builds(Key, st.just("test_set"), st.just("top1_error"), st.just("cifar10.1"), st.sampled_from(["", "v6"])),
)


@pytest.fixture(scope="module")
def results() -> Results:
    """The committed record of four models."""
    return Results.model_validate_json(GOLDEN.read_bytes())


@given(KEYS)
def test_the_text_of_a_key_is_read_as_the_same_key(key: Key) -> None:
    assert parsed(key.benchmark, key.metric, "cifar10").matches(key)


@given(KEYS)
def test_a_number_in_the_record_has_the_exact_strength_and_no_field_that_says_nothing(key: Key) -> None:
    one = Measurement(key=key, model="a", value=0.5, ci_low=None, ci_high=None, n=1, baseline=None)
    text = one.model_dump_json()
    assert Measurement.model_validate_json(text).key == key
    assert not {"", None} & set(json.loads(text)["key"].values())


@given(st.lists(KEYS, min_size=2))
def test_keys_are_sorted_by_kind_and_every_mean_stands_before_its_members(keys: list[Key]) -> None:
    found = sorted(keys)
    kinds = [KINDS.index(one.kind) for one in found]
    assert kinds == sorted(kinds)
    for first, second in pairwise(found):
        if (first.kind, first.protocol) == (second.kind, second.protocol) and not second.member:
            assert not first.member


def test_strengths_differ_unless_rounding_made_the_difference() -> None:
    def at(strength: float | None) -> Key:
        return Key("attack", "top1_error", member="fgsm", strength=strength)

    assert at(8 / 255).matches(at(0.0313725))
    assert not at(8 / 255).matches(at(0.031))
    assert not at(0.0).matches(at(None))
    assert not at(0.0).matches(at(1e-4))
    assert not at(0.1).matches(Key("attack", "top1_error", member="pgd", strength=0.1))


def test_a_strength_that_text_has_rounded_is_read_as_the_exact_one() -> None:
    for steps in (1, 2, 4, 8, 16):
        assert parsed(f"fgsm/{steps / 255:g}", "top1_error", "cifar10").strength == steps / 255
    assert parsed("fgsm/0.03", "top1_error", "cifar10").strength == 0.03
    assert parsed("fgsm/0", "top1_error", "cifar10").strength == 0
    assert parsed("fgsm", "zero_gradients", "cifar10").strength is None


def test_only_the_c_and_p_of_a_data_set_are_standard() -> None:
    assert Key("corruption", "mean_error", own_protocol("corruption", "digits")).standard
    assert not Key("corruption", "mean_error", "cifar10-c-bar").standard
    assert not Key("perturbation", "mean_flip_rate", "cifar10-c").standard
    assert not Key("clean", "top1_error").standard


def test_the_c_and_p_of_a_data_set_are_called_alike_in_the_table_of_benchmarks() -> None:
    for protocol in registered():
        own = {own_protocol(protocol.kind, data) for data in protocol.data_sets}
        assert Key(protocol.kind, "mean_error", protocol.name).standard == (own == {protocol.name})
    assert {"cifar10-c", "cifar10-p", "cifar100-c"} <= {protocol.name for protocol in registered()}


def test_an_unknown_field_of_a_key_is_refused(results: Results) -> None:
    content = results.measurements[0].model_dump(mode="json")
    content["key"]["sharpness"] = 1
    with pytest.raises(ValidationError, match="sharpness"):
        Measurement.model_validate(content)


def test_a_number_is_found_by_its_text_and_by_its_fields(results: Results) -> None:
    name = "resnet32"
    assert results.number(name, "corruption", "mean_error") is results.number(
        name, kind="corruption", metric="mean_error"
    )
    cell = results.number(name, kind="corruption", metric="top1_error", member="fog", severity=3)
    assert cell is results.number(name, "corruption/fog/3", "top1_error")
    assert (cell.key.severity, cell.benchmark, cell.metric) == (3, "corruption/fog/3", "top1_error")
    attacked = results.number(name, kind="attack", metric="top1_error", member="pgd", strength=8 / 255)
    assert (
        attacked
        is results.number(name, "pgd/0.0313725", "top1_error")
        is results.number(name, "pgd/8/255", "top1_error")
    )
    assert attacked.key.strength == 8 / 255
    with pytest.raises(KeyError, match=r"top1_error of resnet32 on pgd/0\.01 was not measured"):
        results.number(name, kind="attack", metric="top1_error", member="pgd", strength=0.01)
