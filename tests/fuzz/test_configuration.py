"""Whatever configuration is given, it is refused in one sentence or is one that reads back the same."""

import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsbench.config.request import EvaluationRequest
from nsbench.config.resolve import from_table, preset_names, resolve, to_toml
from nsbench.config.survey import SurveyConfig
from tests.conftest import Command
from tests.fuzz.damage import LINES, ODD_TEXTS, Change, aimed, changes, chunks, in_lines
from tests.fuzz.judge import Tally, UnsoundError, Workshop, answered, profile, ran

pytestmark = pytest.mark.slow

SURVEY = """name = "mine"
data = "digits"
baseline = "one"
[evaluation]
corruptions = ["contrast", "fog"]
fgsm_epsilons = [0.01, 0.1]
[[models]]
source = "mine.py:network"
name = "one"
mean = [0.5, 0.5, 0.5]
std = [0.2, 0.2, 0.2]
[[models]]
source = "two.onnx"
inside = true
"""


def _keys(table: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found = []
    for name, value in table.items():
        found.append((before + name, value))
        if isinstance(value, dict):
            found += _keys(value, f"{before}{name}.")
    return found


KNOWN = [one for name in preset_names() for one in _keys(tomllib.loads(to_toml(resolve(name))))]
LITERALS = (
    "0", "-1", "1", "3", "0.5", "1e999", "-1e300", "1e-320", "nan", "inf", "-inf", "0x10", "1_000", "true", "false",
    "''", "[]", "[1, 'a']", "[[[[]]]]", "[0.5, 0.5]", "{a = 1}", "{}", "2020-01-01", "1979-05-27T07:32:00Z", "07:32:00",
    "'''two\nlines'''", "1\nname = 'x'", "1 # a remark", "9" * 5000, "9" * 30, "[" * 3000 + "]" * 3000,
    "{a=" * 3000 + "}" * 3000,    '"\\ud800"', '"\\u001b[31m"', "'" + "a" * 100_000 + "'", "[" + "1," * 20_000 + "]",
    "resnet20", "['resnet8']",
    "['resnet99999998']", "['resnet8-w0.125', 'resnet8']", "cifar10", "digits", "noisy-student", "auto", "bfloat16",
)  # fmt: skip
literals = st.one_of(
    st.sampled_from(LITERALS),
    st.sampled_from([repr(value).replace("True", "true").replace("False", "false") for _, value in KNOWN]),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=20),
    st.sampled_from(ODD_TEXTS),
    st.sampled_from(ODD_TEXTS).map(lambda text: "'" + text + "'"),
)
keys = st.one_of(
    st.sampled_from([key for key, _ in KNOWN]),
    st.sampled_from([key for key, _ in KNOWN]),
    st.sampled_from(
        ["", ".", "..", "a.", ".a", "a..b", "evaluation", "models", "models.0.source", "study.networks.0", "__class__",
         "model_config", "name.x", "evaluation.metrics.x", ".".join("a" * 10_000), "seed\nname", "'seed'", "seed "]
    ),
    st.builds(lambda known, odd: known[0][: len(known[0]) // 2] + odd, st.sampled_from(KNOWN), st.text(max_size=3)),
)  # fmt: skip
settings = st.lists(
    st.one_of(
        st.builds(lambda known: f"{known[0]}={str(known[1]).lower()}", st.sampled_from(KNOWN)),
        st.builds("{}={}".format, keys, literals),
        st.text(max_size=10),
    ),
    min_size=1,
    max_size=3,
)
Record = Callable[[str, object], None]


def test_any_setting_is_refused_in_one_sentence_or_reads_back(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("configuration, --set")

    @profile(0.15)
    @given(st.sampled_from(preset_names()), settings)
    def case(preset: str, given_settings: list[str]) -> None:
        words = [f"--set={aimed(one, str(workshop.outside))}" for one in given_settings]
        with tally.case(preset, given_settings) as came, workshop.case("work"):
            came(_reads_back(nsbench, workshop, preset, *words))

    case()
    tally.close(record_property)


def test_any_configuration_file_is_refused_in_one_sentence_or_reads_back(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("configuration, files of runs")
    contents = [to_toml(resolve(name)).encode() for name in preset_names()]

    @profile(0.12)
    @given(st.integers(0, len(contents) - 1), _damaged)
    def case(which: int, done: list[Change]) -> None:
        with tally.case(which, done) as came, workshop.case("work"):
            content = contents[which]
            for change in done:
                content = _in_toml(content, change, workshop)
            workshop.write("work.toml", content)
            came(_reads_back(nsbench, workshop, str(workshop.base / "work.toml")))

    case()
    tally.close(record_property)


def test_any_listing_of_models_is_refused_in_one_sentence_or_reads_back(
    workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("configuration, listings of models")

    @profile(0.2)
    @given(_damaged, st.lists(st.builds("{}={}".format, keys, literals), max_size=1))
    def case(done: list[Change], given_settings: list[str]) -> None:
        with tally.case(done, given_settings) as came, workshop.case("work"):
            content = SURVEY.encode()
            for change in done:
                content = _in_toml(content, change, workshop)
            workshop.write("work.toml", content)
            request = EvaluationRequest((str(workshop.base / "work.toml"),), settings=tuple(given_settings))
            found = answered(request.configuration, workshop.base / "work")
            if found is not None and from_table(tomllib.loads(to_toml(found)), SurveyConfig) != found:
                raise UnsoundError("it does not read back the same")
            came("refused" if found is None else "read back")

    case()
    tally.close(record_property)


def test_any_configuration_in_a_run_folder_is_refused_in_one_sentence_or_measured(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("configuration, config.toml of a run")
    words = ["evaluate", str(workshop.base / "run"), "--device", "cpu", "--quiet"]

    @profile(0.008)
    @given(changes(("flip", "double line", "swap lines"), chunks))  # what takes much away has hours of work begin
    def case(done: list[Change]) -> None:
        with tally.case(done) as came, workshop.case("run/"):
            content = workshop.original("run/config.toml")
            for change in done:
                content = in_lines(content, change)
            workshop.write("run/config.toml", content)
            came("refused" if ran(nsbench, *words) is None else "measured")

    case()
    tally.close(record_property)


_damaged = st.one_of(
    changes(LINES, chunks),
    changes(("value",), literals),
    changes(("value", "line", *LINES), literals),
)


def _in_toml(content: bytes, change: Change, workshop: Workshop) -> bytes:
    """TOML with one change: another value behind an equals sign, a line put in, or whatever `in_lines` does."""
    if change.kind not in {"value", "line"}:
        return in_lines(content, change)
    lines = content.split(b"\n")
    text = aimed(change.value, str(workshop.outside)).encode("utf-8", "surrogatepass")
    if change.kind == "line":
        lines.insert(change.place % len(lines), text)
        return b"\n".join(lines)
    valued = [number for number, line in enumerate(lines) if b" = " in line and not line.startswith(b"#")]
    if valued:
        number = valued[change.place % len(valued)]
        lines[number] = lines[number].partition(b"=")[0] + b"= " + text
    return b"\n".join(lines)


def _reads_back(nsbench: Command, workshop: Workshop, source: str, *settings: str) -> str:
    shown = ran(nsbench, "run-all", source, *settings, "--show-config")
    if shown is None:
        return "refused"
    again = workshop.base / "work-again.toml"
    again.write_text(shown)
    if answered(lambda: to_toml(resolve(str(again)))) != shown:
        raise UnsoundError(f"it does not read back the same: {shown[:500]}")
    return "read back"
