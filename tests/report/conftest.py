"""The golden record, and a report made from any record."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nsbench.report.render import write_report
from nsbench.results.record import Results

VOID = {"meta", "link", "img", "br", "hr", "col", "input", "wbr"}
# Pieces of the record's JSON and what takes their place.
HOSTILE = {
    "horse": "<i>net|14</i>",
    "automobile": "<script>alert(1)</script>",
    "bird": "a|b`c`",
    "deer": r"$\\frac{1}{2}$ _x_ *y* [z](http://evil.test)",
    "dog": r"\"><img src=x onerror=alert(1)>",
    "frog": "\u732b\\u0007 &amp;",
    "CIFAR-10 test, first 500 images": "</svg></style></script><script src=http://evil.test></script>",
    "no unlabelled image": "<iframe src=http://evil.test></iframe> | [x](http://evil.test)",
    "clean, then severities 1 to 5": r"\" onload=\"alert(1)",
    "the ratio is ill-conditioned": "<b onclick=alert(1)>",
}
HOSTILE_MODELS = {
    "vit.onnx": "<i>vit|4</i>",
    "deer": r"$\\frac{1}{2}$ _x_ *y* [z](http://evil.test)",
    "torchhub:owner/cifar-models:resnet20": "</svg></style></script><script src=http://evil.test></script>",
    "models.py:resnet32": r"\" onload=\"alert(1)|`c`",
    "b" * 64: "<iframe src=http://evil.test></iframe>",
    "2" * 64: "[x](http://evil.test) <b onclick=alert(1)>",
    "which should be weaker": "</li></ul></aside><script>alert(2)</script>\\n\\n# x",
    "PGD, 20 steps": r"\"><img src=x onerror=alert(1)>",
}


class Page(HTMLParser):
    """Collects what a browser would act on, and fails on tags that do not balance."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close the element opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep text that a reader sees."""
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """All text that a reader sees."""
        return " ".join(" ".join(self.words).split())

    def attributes(self, name: str) -> list[str]:
        """Every value of one attribute."""
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


def write_samples(results: Results, folder: Path) -> None:
    """Small strips of noise where the record says they are."""
    random = np.random.default_rng(1)
    for sample in results.samples:
        path = folder / sample.file
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = np.linspace(60, 200, 32)[:, None, None] + 25 * random.standard_normal((32, 192, 3))
        Image.fromarray(np.clip(rows, 0, 255).astype(np.uint8)).save(path)


@dataclass(frozen=True)
class Report:
    """A report as written."""

    folder: Path

    @cached_property
    def source(self) -> str:
        """The HTML."""
        return (self.folder / "index.html").read_text()

    @cached_property
    def page(self) -> Page:
        """The HTML, taken apart."""
        return Page(self.source)

    @cached_property
    def markdown(self) -> str:
        """The Markdown."""
        return (self.folder / "report.md").read_text()


def write(results: Results, run_folder: Path) -> Report:
    """Write the report of a record into a folder."""
    write_samples(results, run_folder)
    return Report(write_report(results, run_folder).parent)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of the committed record and report."""
    return Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def results(golden: Path) -> Results:
    """The committed record."""
    return Results.model_validate_json((golden / "results.json").read_text())


@pytest.fixture(scope="session")
def seeded_results(golden: Path) -> Results:
    """A record of three seeds, made anew: it would be as long as the two committed ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(golden)
        found: Results = importlib.import_module("make_seeds").made_up_seeds()
    return found


@pytest.fixture(scope="session")
def model_results(golden: Path) -> Results:
    """The committed record of four models."""
    return Results.model_validate_json((golden / "models.json").read_text())


def hostile(results: Results, nasty: dict[str, str]) -> Results:
    """The record with texts that try to break out of the page, of a table and of a figure."""
    text = results.model_dump_json()
    for name, instead in nasty.items():
        assert name in text
        text = text.replace(name, instead)
    return Results.model_validate_json(text)


@pytest.fixture(scope="session")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Results], Report]:
    """A function that writes the report of a record into an empty folder."""
    return lambda results: write(results, tmp_path_factory.mktemp("report"))


Reporter = Callable[[Results], Report]


@pytest.fixture(scope="session")
def report(results: Results, report_of: Reporter) -> Report:
    """The report of the committed run."""
    return report_of(results)


@pytest.fixture(scope="session")
def model_report(model_results: Results, report_of: Reporter) -> Report:
    """The report of the committed record of four models."""
    return report_of(model_results)


@pytest.fixture(scope="session")
def seeded_report(seeded_results: Results, report_of: Reporter) -> Report:
    """The report of the run with three seeds."""
    return report_of(seeded_results)


@pytest.fixture(scope="session")
def hostile_report(results: Results, report_of: Reporter) -> Report:
    """The report of the run with hostile names."""
    return report_of(hostile(results, HOSTILE))


@pytest.fixture(scope="session")
def hostile_model_report(model_results: Results, report_of: Reporter) -> Report:
    """The report of the four models with hostile names."""
    return report_of(hostile(model_results, HOSTILE_MODELS))


@pytest.fixture(scope="session", params=["report", "model_report"])
def either_report(request: pytest.FixtureRequest) -> Report:
    """Both reports, one after the other."""
    found: Report = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session", params=["report", "model_report"])
def plain_and_hostile(request: pytest.FixtureRequest) -> tuple[Report, Report]:
    """Both reports, each with its hostile twin."""
    return request.getfixturevalue(request.param), request.getfixturevalue(f"hostile_{request.param}")


@pytest.fixture(scope="session")
def chosen_results(results: Results) -> Results:
    """The record in which test images chose the weights of one checkpoint, the second student."""
    checkpoints = list(results.checkpoints)
    place = next(i for i, one in enumerate(checkpoints) if one.role == "student" and one.generation == 2)
    history = [point.model_copy(update={"test_accuracy": 0.7}) for point in checkpoints[place].history]
    update = {"weights_selection": "best-test", "history": history}
    checkpoints[place] = checkpoints[place].model_copy(update=update)
    return results.model_copy(update={"checkpoints": checkpoints})


@pytest.fixture(scope="session")
def chosen_report(chosen_results: Results, report_of: Reporter) -> Report:
    """The report of that record."""
    return report_of(chosen_results)
