"""Settings and configuration files that are hostile, damaged or wrong: one short sentence each, at once."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from nsbench.config.resolve import read_toml, resolve, to_toml
from nsbench.config.survey import resolve_survey
from nsbench.errors import UserError

Command = Callable[..., "CompletedProcess[str]"]


def refused(setting: str) -> str:
    """The sentence that refuses a setting."""
    begun = time.monotonic()
    with pytest.raises(UserError) as error:
        resolve("quick", [setting])
    assert time.monotonic() - begun < 5
    return held(str(error.value))


def held(sentence: str) -> str:
    """A sentence that is short, on one line, and safe on a terminal."""
    assert sentence.isprintable(), ascii(sentence)
    assert len(sentence) < 1500
    return sentence


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("seed=1\nname='x'", "sets more than one key: write --set again for each of them"),
        ("seed=1\n[study]\nname='x'", "sets more than one key"),
        ("seed=1\nvalue=2", "seed = '1\\nvalue=2' has a line end or a control character in it"),
        ("name=red\x1b[31m", "name = 'red\\x1b[31m' has a line end or a control character"),
        ("study.baseline=a\u2028b", "study.baseline = 'a\\u2028b' has a line end"),
        ("seed=\udcff", "control character"),
        ("x\x1b[31m=1", "control character"),
        ("seed=[[[[[[[[[1]]]]]]]]]", "seed is nested too deeply: write it with at most 8 levels"),
        ("seed=" + "[" * 100_000, "cannot be read (more than 8 levels are nested)"),
        ("seed={" + ".".join("a" * 100_000) + "=1}", "cannot be read (more than 8 levels are nested)"),
        (".".join("a" * 10_000) + "=1", "is not of the form dotted.key=value"),
        ("seed=1" + "0" * 5000, "seed is a text of 5,001 characters: use at most 4,096"),
        ("seed=0x" + "f" * 6000, "seed is a number of more than 30 digits"),
        ("seed=1" + "0" * 40, "seed is a number of more than 30 digits"),
        ("training.learning_rate=1e999", "training.learning_rate = Infinity is not allowed"),
        ("training.learning_rate=nan", "training.learning_rate = NaN is not allowed"),
        ("study.baseline='" + "x" * 10_000_000 + "'", "is a text of 10,000,002 characters: use at most 4,096"),
        ("study.baseline='" + "x" * 10_000 + "'", "study.baseline is a text of 10,000 characters"),
        ("x" * 1_000_000 + "=1", "is a text of 1,000,000 characters"),
        ("x" * 4000 + "=1", "Unknown key 'xxx"),
        ("method.kind=" + "x" * 4000, "There is no method 'xxx"),
        ("a..b=1", "is not of the form dotted.key=value"),
        (".a=1", "is not of the form dotted.key=value"),
        ("a.=1", "is not of the form dotted.key=value"),
        ("study.networks.x=1", "networks is a value, not a section"),
        ("seed=1979-05-27", 'seed = "1979-05-27" is not allowed'),
        ("__class__=1", "Unknown key '__class__'"),
        ("model_fields.x=1", "Unknown key 'model_fields'"),
        ("method=3", "method = 3 is not allowed: method must be a section"),
        ("method.kind=[1]", "There is no method '[1]'"),
        ("study.objective=[1]", "There is no method '[1]'"),
        ("data=[]", "data must be a section"),
        (f"study.seeds={list(range(101))}", "must be a list of at most 100"),
        (f"evaluation.fgsm_epsilons={[0.1] * 1001}", "has 1,001 entries: use at most 1,000"),
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_a_hostile_setting_is_refused_in_a_short_sentence(setting: str, words: str) -> None:
    assert words in refused(setting)


@pytest.mark.parametrize("models", ["3", "[3]", "'x'", "[[1]]", "{a = 1}", "[{source = 3}]", "[{}]", "[{source = ''}]"])
def test_models_of_an_odd_type_are_refused_in_a_sentence(models: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"models(\.source)? = .* is not allowed"):
        resolve_survey({}, [f"models={models}"], tmp_path)


def test_a_key_through_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="models is a value, not a section"):
        resolve_survey({"models": [{"source": "x"}]}, ["models.source=y"], tmp_path)


def test_values_over_several_lines_and_with_comments_are_read_as_before() -> None:
    networks = resolve("quick", ["study.networks=[\n 'resnet8',\n 'resnet14',  # deeper\n]"]).study.networks
    assert networks == ("resnet8", "resnet14")


def file(folder: Path, content: bytes) -> Path:
    path = folder / "mine.toml"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"seed = " + b"[" * 100_000, "is not valid TOML (more than 8 levels are nested)"),
        (b".".join([b"a"] * 100_000) + b" = 1", "is not valid TOML (more than 8 levels are nested)"),
        (b".".join([b"'a b'"] * 100_000) + b" = 1", "is not valid TOML (more than 8 levels are nested)"),
        (b"a.b.c.d.e.f.g.h.i.j = 1", "is nested too deeply: write it with at most 8 levels"),
        (b"seed = 1" + b"0" * 5000, "is not valid TOML (Exceeds the limit"),
        (b"seed = 1 # \xff", "is not valid TOML ('utf-8' codec can't decode byte 0xff"),
        (b"seed = 1 \x00", "is not valid TOML"),
        (b"seed = 1 \x1b[31m", "is not valid TOML"),
        (b"# " + b"x" * 2**20, "cannot be read (it has more than 1,048,576 bytes)"),
    ],
    ids=range(9),
)
def test_a_hostile_file_is_refused_in_a_short_sentence(
    content: bytes, words: str, tmp_path: Path, nsbench: Command
) -> None:
    begun = time.monotonic()
    done = nsbench("train", str(file(tmp_path, content)), "--show-config")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert words in held(done.stderr.strip())
    assert time.monotonic() - begun < 5


def test_a_file_of_100_mb_is_not_read(tmp_path: Path) -> None:
    path = file(tmp_path, b"")
    os.truncate(path, 100_000_000)
    with pytest.raises(UserError, match="has more than 1,048,576 bytes"):
        read_toml(path)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "device.toml").symlink_to("/dev/zero")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "circle.toml").symlink_to(tmp_path / "circle.toml")
    reasons = {
        "pipe": "a pipe or a device, not a file",
        "device": "a pipe or a device, not a file",
        "folder": "Is a directory",
        "circle": "Too many levels of symbolic links",
        "none": "No such file or directory",
        "n" * 5000: "File name too long",
        "nul\0": "embedded null byte",
    }
    for name, reason in reasons.items():
        with pytest.raises(UserError, match=rf"cannot be read \({reason}\): check the path") as error:
            resolve(str(tmp_path / f"{name}.toml"))
        assert len(str(error.value)) < 600


def test_a_byte_order_mark_is_no_part_of_the_configuration(tmp_path: Path) -> None:
    assert resolve(str(file(tmp_path, b"\xef\xbb\xbfseed = 3\n"))).seed == 3


def test_what_is_written_keeps_within_the_bounds(tmp_path: Path) -> None:
    config = resolve("quick", [f"study.seeds={list(range(100))}", f"evaluation.fgsm_epsilons={[0.1] * 1000}"])
    assert resolve(str(file(tmp_path, to_toml(config).encode()))) == config
