"""The page that tells how faithful the generators are. Its text depends on the comparison alone, on no clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from fidelity_deviations import DEVIATIONS
from fidelity_verdict import (
    CHI_SQUARE_LEVEL,
    FAMILY_LEVEL,
    LARGEST_DIFFERENCE,
    LEVEL_TOLERANCE,
    PIXEL_QUANTITIES,
    SCORE_TOLERANCE,
    Comparison,
    Verdict,
)
from interleaved import table

Column = tuple[str, Callable[[Comparison], str]]

COMMAND = """```sh
git clone https://github.com/hendrycks/robustness.git ../robustness
git clone https://github.com/akamaster/pytorch_resnet_cifar10.git ../pytorch_resnet_cifar10
pip install "opencv-python-headless<4.11" Wand scikit-image  # Wand needs the library of ImageMagick 6
python benchmarks/fidelity.py --published ../robustness --resnets ../pytorch_resnet_cifar10 --data ~/datasets \\
  --cache ../fidelity-cache --out docs/fidelity.md
```"""


@dataclass(frozen=True)
class Facts:
    """What the page says of the comparison itself."""

    images: int
    seeds: int
    network: str
    affine: str
    sets: tuple[str, ...]
    """Names of our sets."""
    versions: Mapping[str, str]


def page(comparisons: Sequence[Comparison], verdict: Verdict, facts: Facts) -> str:
    """The page as Markdown."""
    corruptions = [found for found in comparisons if found.cell.severity]
    perturbations = [found for found in comparisons if not found.cell.severity]
    parts = [
        "# Fidelity of the generated sets",
        _introduction(facts),
        "## Verdict",
        _verdict(verdict),
        "## CIFAR-10-C",
        "The five values of a cell are severities 1 to 5.",
        *_tables(corruptions),
        "## CIFAR-10-P",
        *_tables(perturbations),
        "## Known deviations",
        "\n".join(f"- **{title}**: {reason}" for title, reason in DEVIATIONS),
    ]
    return "\n\n".join(parts) + "\n"


def _tables(comparisons: Sequence[Comparison]) -> list[str]:
    """The tables of a set, each with its title, less those without rows."""
    fixed = [found for found in comparisons if not found.cell.random]
    drawn = [found for found in comparisons if found.cell.random]
    tables = {
        "Without random numbers, pixel by pixel:": (fixed, [*_AGREEMENT, *_SCORE]),
        "With random numbers:": (drawn, _SCORE),
        "Mean, spread and distance of pixels:": (comparisons, _PIXELS),
    }
    return [part for title, (rows, columns) in tables.items() if rows for part in (title, _rows(rows, columns))]


def _introduction(facts: Facts) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    return f"""The published generators, of the public repository `hendrycks/robustness`, and ours on the first
{facts.images} test images of CIFAR-10. This page is written by

{COMMAND}

Ours made {", ".join(facts.sets)}. The published code ran with {libraries}, and with the affine transform of
torchvision {facts.affine}.

- **score**: of images the error, of sequences the flip probability, by the public {facts.network} of
  `akamaster/pytorch_resnet_cifar10`, whose accuracy on the whole test set is checked first. Flips are counted as in
  the reports: of noise against the first frame, otherwise against the frame before.
- **mean**, **spread**: mean and standard deviation of the pixels of an image or a sequence; **distance**: their mean
  absolute difference to the clean image. In grey levels, averaged over images.
- **difference**: ours less published. What random numbers enter into is made with {facts.seeds} seeds on either
  side and averaged.
- **interval**: 95 % interval of the mean difference, paired by image after averaging its seeds. With random numbers
  it holds the variation from seed to seed, without that from image to image, which both sides share; otherwise it is
  the paired interval over images."""


def _verdict(verdict: Verdict) -> str:
    criteria = [
        f"Without random numbers, no pixel differs by more than {LARGEST_DIFFERENCE} level, and no error or flip "
        f"probability by more than {100 * SCORE_TOLERANCE:g} percentage point.",
        f"With random numbers, mean, spread and distance differ by no more than {LEVEL_TOLERANCE:g} levels beyond "
        "their intervals.",
        f"Of the {verdict.family} errors and flip probabilities with random numbers, Holm's procedure rejects none at "
        f"a family-wise level of {FAMILY_LEVEL:.0%}, and the chi-square test of all together has a p-value of "
        f"{CHI_SQUARE_LEVEL:g} or more (it is {verdict.chi_square:.2g}). {verdict.outside} lie outside their own 95 % "
        f"intervals, where chance alone would put about {verdict.family / 20:.0f}.",
        "Frost of our own textures, another set than that of the photographs, has an error within the interval that "
        "the choice of images gives the published one.",
    ]
    listed = "\n".join(f"{number}. {criterion}" for number, criterion in enumerate(criteria, start=1))
    if not verdict.misses:
        return f"All criteria are met:\n\n{listed}"
    return f"The criteria:\n\n{listed}\n\nMissed by:\n\n" + "\n".join(f"- {miss}" for miss in verdict.misses)


def _rows(comparisons: Sequence[Comparison], columns: Sequence[Column]) -> str:
    """A table with a row for each corruption or perturbation."""
    rows = []
    for name, group in groupby(comparisons, key=lambda found: found.cell.row):
        cells = list(group)
        rows.append([name, *(" ".join(show(found) for found in cells) for _, show in columns)])
    return table(["", *(title for title, _ in columns)], rows)


def _agreement(name: str, form: str, factor: float = 1) -> Callable[[Comparison], str]:
    return lambda found: format(factor * getattr(found.agreement, name), form)


def _signed(value: float, form: str) -> str:
    """A difference; one that rounds to nothing has no sign."""
    text = format(value, f"+{form}")
    return text[1:] if float(text) == 0 else text


def _pixel_columns(quantity: str) -> list[Column]:
    return [
        (quantity, lambda found: format(found.published_value(quantity), ".1f")),
        ("difference", lambda found: _signed(found.differences[quantity].value, ".2f")),
    ]


_AGREEMENT: list[Column] = [
    ("largest difference", _agreement("largest", "d")),
    ("mean difference", _agreement("mean", ".4f")),
    ("pixels off by 1, %", _agreement("one", ".2f", 100)),
    ("by more, %", _agreement("more", ".2f", 100)),
]
_SCORE: list[Column] = [
    ("score published, %", lambda found: format(100 * found.published_value("score"), ".2f")),
    ("difference, points", lambda found: _signed(100 * found.differences["score"].value, ".2f")),
    ("interval ±", lambda found: format(100 * found.differences["score"].half_width, ".2f")),
]
_PIXELS: list[Column] = [column for quantity in PIXEL_QUANTITIES for column in _pixel_columns(quantity)]
