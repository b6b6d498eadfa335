"""The page that shows how faithful the generators are. Its text depends on the comparison alone, on no clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from fidelity_comparison import PIXEL_QUANTITIES, Comparison
from fidelity_deviations import DEVIATIONS
from fidelity_equivalence import ERROR, FLIPS, REASON, Mean, shown
from fidelity_statistics import Agreement
from fidelity_verdict import (
    CHI_SQUARE_LEVEL,
    FAMILY_LEVEL,
    LARGEST_DIFFERENCE,
    LEVEL_TOLERANCE,
    SCORE_TOLERANCE,
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
    seeds: range
    """Seeds of random sets, on either side."""
    network: str
    affine: str
    sets: tuple[str, ...]
    """Names of our sets."""
    versions: Mapping[str, str]


def page(comparisons: Sequence[Comparison], replayed: Mapping[str, Agreement], verdict: Verdict, facts: Facts) -> str:
    """The page as Markdown."""
    corruptions = [found for found in comparisons if found.cell.severity]
    perturbations = [found for found in comparisons if not found.cell.severity]
    parts = [
        "# Fidelity of the generated sets",
        _introduction(facts),
        "## Verdict",
        _verdict(verdict),
        "## Equivalence of random sets",
        *_equivalence(verdict),
        "## CIFAR-10-C",
        "The five values of a cell are severities 1 to 5.",
        *_tables(corruptions),
        "## CIFAR-10-P",
        *_tables(perturbations),
        *_replayed(replayed),
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
        "With random numbers:": (drawn, _RANDOM_SCORE),
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
- **difference**: ours less published. What random numbers enter into is made with {len(facts.seeds)} seeds on either
  side, {facts.seeds.start} to {facts.seeds.stop - 1}, and averaged.
- **interval**: of the mean difference, paired by image after averaging its seeds; 95 %, or 90 % where something is
  random. With random numbers it holds the variation from seed to seed, without that from image to image, which both
  sides share; otherwise it is the paired interval over images.
- **equivalent**: *yes* where the 90 % interval lies inside plus or minus {100 * ERROR.cell:g} point of error or
  {100 * FLIPS.cell:g} points of flip probability, which are two one-sided tests at 5 %; *not-shown* where this many
  images and seeds do not show it, which is no proof of a difference."""


def _verdict(verdict: Verdict) -> str:
    criteria = [
        f"Without random numbers, no pixel differs by more than {LARGEST_DIFFERENCE} level, and no error or flip "
        f"probability by more than {100 * SCORE_TOLERANCE:g} percentage point.",
        f"With random numbers, no mean, spread or distance is seen to differ by more than {LEVEL_TOLERANCE:g} levels: "
        "its 95 % interval comes that near to 0.",
        f"Given the same random numbers, no pixel of a sequence differs by more than {LARGEST_DIFFERENCE} level.",
        f"The means that the benchmarks report are equivalent: of the error within {100 * ERROR.mean:g} points, of the "
        f"flip probability within {100 * FLIPS.mean:g}.",
        f"No difference is found among the {verdict.family} errors and flip probabilities with random numbers, by "
        f"Holm's procedure at a family-wise level of {FAMILY_LEVEL:.0%} and by the chi-square test of all together at "
        f"{CHI_SQUARE_LEVEL:.0%} (its p-value is {verdict.chi_square:.2g}). This looks for differences; it shows no "
        "agreement.",
        "Frost of our own textures, another set than that of the photographs, has an error within the interval that "
        "the choice of images gives the published one.",
    ]
    listed = "\n".join(f"{number}. {criterion}" for number, criterion in enumerate(criteria, start=1))
    if not verdict.misses:
        return f"All criteria are met:\n\n{listed}"
    return f"The criteria:\n\n{listed}\n\nMissed by:\n\n" + "\n".join(f"- {miss}" for miss in verdict.misses)


def _equivalence(verdict: Verdict) -> list[str]:
    """The margins, the means, and how many sets are shown to be equivalent."""
    counted = " and ".join(f"{some} of {total} sets of {name}" for name, (some, total) in verdict.shown.items())
    header = ["mean of", "difference, points", "90 % interval ±", "margin", "equivalent"]
    averaged = [table(header, [_mean_row(mean) for mean in verdict.means])] if verdict.means else []
    return [
        REASON,
        *averaged,
        f"One by one, {counted or 'no set'} with random numbers are shown to be equivalent. Of the others this many "
        "images and seeds do not show it.",
    ]


def _mean_row(mean: Mean) -> list[str]:
    value, width = 100 * mean.difference.value, 100 * mean.difference.half_width_90
    return [mean.title, _signed(value, ".3f"), f"{width:.3f}", f"{100 * mean.margin:g}", _yes(mean.equivalent)]


def _yes(equivalent: bool) -> str:
    """One word, since a cell of a table holds five."""
    return "yes" if equivalent else "not-shown"


def _replayed(replayed: Mapping[str, Agreement]) -> list[str]:
    """The table of sequences made with the same random numbers, with its title."""
    if not replayed:
        return []
    rows = [
        [name, f"{apart.largest}", f"{apart.mean:.4f}", f"{100 * apart.one:.2f}", f"{100 * apart.more:.2f}"]
        for name, apart in replayed.items()
    ]
    title = (
        "Published sequences made with our random numbers, seed 0, pixel by pixel; shot noise is left out, since ours "
        "draws pixels by their exact law where the published code draws counts of photons:"
    )
    return [title, table(["", *(name for name, _ in _AGREEMENT)], rows)]


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
_RANDOM_SCORE: list[Column] = [
    *_SCORE[:2],
    ("90 % interval ±", lambda found: format(100 * found.differences["score"].half_width_90, ".2f")),
    ("equivalent", lambda found: _yes(shown(found))),
]
_PIXELS: list[Column] = [column for quantity in PIXEL_QUANTITIES for column in _pixel_columns(quantity)]
