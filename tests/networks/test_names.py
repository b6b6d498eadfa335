"""Network names: what is one, and what is said of what is none."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from nsbench.errors import UserError
from nsbench.networks.names import parse_network_name


@pytest.mark.parametrize(
    "name",
    ["resnet8", "resnet20", "resnet1202", "resnet8-w0.125", "resnet20-w16", "efficientnet-b0", "efficientnet-b7"],
)
def test_a_name_reads_back_as_it_was_written(name: str) -> None:
    assert str(parse_network_name(name)) == name


@pytest.mark.parametrize(
    ("name", "fault", "nearest"),
    [
        ("resnet21", "not 6n + 2", "resnet20"),
        ("resnet19", "not 6n + 2", "resnet20"),
        ("resnet2", "not 6n + 2", "resnet8"),
        ("resnet0", "not 6n + 2", "resnet8"),
        ("resnet51-w2", "not 6n + 2", "resnet50-w2"),
        ("resnet20-w0.3", "width factor", "resnet20-w0.25"),
        ("resnet20-w0", "width factor", "resnet20-w0.125"),
        ("resnet20-w99", "width factor", "resnet20-w16"),
        ("../resnet20", "is not a network", "resnet20"),
        ("ResNet-20", "is not a network", "resnet20"),
        ("efficientnet_b3", "is not a network", "efficientnet-b3"),
        ("efficientnet-b00", "is not a network", "efficientnet-b0"),
        ("efficientnet-b8", "larger than any", "efficientnet-b7"),
        ("resnet1208", "is deeper than 1202", "resnet1202"),
        ("resnet99999998", "is deeper than 1202", "resnet1202"),
        ("resnet20-w99999", "width factor", "resnet20-w16"),
    ],
)
def test_a_name_that_is_no_network_is_refused_with_the_nearest_one(name: str, fault: str, nearest: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_network_name(name)
    sentence = str(caught.value)
    assert sentence.startswith(f"{name!r} ")
    assert fault in sentence
    assert f"use {nearest}, or another of" in sentence


@pytest.mark.parametrize("name", ["vgg16", "", "resnet20-w0.3", "resnet", "20"])
def test_every_refusal_says_how_both_families_are_named(name: str) -> None:
    with pytest.raises(UserError, match=r"resnetDEPTH.*efficientnet-b0 to -b7\.$"):
        parse_network_name(name)


@pytest.mark.parametrize("name", ["resnet" + "2" * 5000, "resnet20-w" + "9" * 5000, "resnet\u0662\u0660", "x" * 10**6])
def test_an_absurd_name_is_refused_at_once_in_a_short_sentence(name: str) -> None:
    with pytest.raises(UserError, match="is not a network") as caught:
        parse_network_name(name)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "resnet99999998"),
        ("models", "resnet" + "2" * 5000),
        ("models", *["resnet8"] * 10_000),
        ("train", "quick", "--set", "study.networks=['resnet99999998']"),
    ],
    ids=["depth", "digits", "many", "study"],
)
def test_the_command_refuses_absurd_networks_in_a_sentence(
    arguments: tuple[str, ...], nsbench: Callable[..., "CompletedProcess[str]"], tmp_path: Path
) -> None:
    out = ("--out", str(tmp_path / "run")) if arguments[0] == "train" else ()
    done = nsbench(*arguments, *out)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert len(done.stderr) < 300
