"""Benchmarks as values: what they hold, how they are found, and what is no benchmark."""

from dataclasses import replace

import pytest

from nsbench.errors import UserError
from nsbench.protocols import registry
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P, IMAGENET, PAPER
from nsbench.protocols.protocol import Layout, Mean, Member, Protocol
from nsbench.protocols.registry import (
    corruption_protocol,
    find_protocol,
    perturbation_protocol,
    protocols_of,
    register,
    registered,
)

OWN = Protocol(
    name="cifar10-ours",
    title="CIFAR-10-Ours",
    kind="corruption",
    data_sets=("cifar10",),
    layout=Layout(("CIFAR-10-Ours",), labels="labels"),
    members=(Member("checkerboard"), Member("inverted", counts=False)),
    severities=(1, 2, 3),
)


@pytest.fixture
def no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))


def test_the_studys_means_take_in_every_published_file_and_imagenets_has_snow_in_spatters_place() -> None:
    assert (len(CIFAR10_C.counted), len(CIFAR10_C.mean(PAPER))) == (15, 19)
    assert (len(CIFAR10_P.counted), len(CIFAR10_P.mean(PAPER))) == (10, 20)
    assert set(CIFAR10_P.mean(IMAGENET)) ^ set(CIFAR10_P.counted) == {"snow", "spatter"}
    assert len(CIFAR10_P.mean(IMAGENET)) == 10


def test_members_that_are_noise_begin_with_the_clean_image() -> None:
    noise = [member for member in CIFAR10_P.members if member.independent]
    assert len(noise) == 9
    assert {member.clean_frame for member in noise} == {0}


def test_a_data_set_has_its_benchmarks() -> None:
    assert [one.name for one in protocols_of("cifar10")] == ["cifar10-c", "cifar10-p", "cifar10.1"]
    assert [one.name for one in protocols_of("digits")] == ["digits-c", "digits-p"]
    assert [one.name for one in registered() if not one.published] == ["digits-c", "digits-p"]


def test_a_data_set_of_a_users_own_has_the_usual_corruptions_under_its_name() -> None:
    corruptions, perturbations = corruption_protocol("shells", "Shells"), perturbation_protocol("shells", "Shells")
    assert (corruptions.name, corruptions.title, corruptions.names) == ("shells-c", "Shells-C", CIFAR10_C.names)
    assert (perturbations.name, perturbations.members) == ("shells-p", CIFAR10_P.members)
    assert not corruptions.published
    assert corruptions.side == 0


@pytest.mark.usefixtures("no_trace")
def test_a_benchmark_can_be_added_from_outside_and_is_found() -> None:
    register(OWN)
    register(OWN)
    assert find_protocol("cifar10-ours") is OWN
    assert (OWN.counted, OWN.shown) == (("checkerboard",), ("inverted",))
    assert protocols_of("cifar10")[-1] is OWN
    with pytest.raises(UserError, match="another benchmark called 'cifar10-ours'"):
        register(replace(OWN, title="Another"))


@pytest.mark.usefixtures("no_trace")
def test_the_own_corruptions_of_a_data_set_come_before_the_usual_ones() -> None:
    register(replace(OWN, name="shells-c", data_sets=("shells",)))
    assert corruption_protocol("shells", "Shells").names == ("checkerboard", "inverted")


def test_an_unknown_benchmark_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no benchmark 'cifar10-d': choose from cifar10-c, .*Did you mean cifar10-"):
        find_protocol("cifar10-d")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": (Member("fog"), Member("fog"))}, "a member comes twice"),
        ({"means": (Mean("all", ("fog",)),)}, "a mean has an unknown member"),
        ({"severities": ()}, "severities are what corruptions have"),
        ({"severities": (2, 1)}, "severities ascend from 1"),
        ({"severities": (0, 1)}, "severities ascend from 1"),
        ({"members": (Member("fog", frames=31),)}, "frames are what sequences have"),
        ({"kind": "perturbation", "severities": ()}, "frames are what sequences have"),
    ],
)
def test_what_contradicts_itself_is_no_benchmark(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"cifar10-ours is not a benchmark: {message}"):
        replace(OWN, **change)  # type: ignore[arg-type]  # a test's own
