"""The report as data: sections in reading order, each with paragraphs, tables, figures and samples."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nsbench.errors import UserError
from nsbench.report import provenance
from nsbench.report.figures import curves, grids, overview, reliability
from nsbench.report.figures.drawing import Picture
from nsbench.report.lookup import Lookup
from nsbench.report.prose import limits, wording
from nsbench.report.stamp import EXPLANATION, MARK
from nsbench.report.tables import (
    across_seeds,
    attacks,
    calibrated,
    comparisons,
    confusions,
    further,
    generations,
    members,
    models,
    published_counts,
    robustness,
)
from nsbench.report.tables.table import Table
from nsbench.results.key import Kind
from nsbench.results.record import Results, SampleImage

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST_IMAGE = 2**24
"""Bytes of an example image at most; a strip has some ten thousand."""
KINDS = {
    "corruption": "Corruptions",
    "perturbation": "Perturbations",
    "fgsm": "FGSM",
    "noise": "Input noise",
}


@dataclass(frozen=True)
class Sample:
    """One strip of example images."""

    record: SampleImage
    data: str


@dataclass(frozen=True)
class Gallery:
    """Strips of one kind."""

    title: str
    samples: list[Sample]


@dataclass(frozen=True)
class Caution:
    """A box that cannot be overlooked: pairs of a model and what was noticed about it."""

    title: str
    pairs: list[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; `topics` are pairs of a topic and its explanation."""

    identifier: str
    title: str
    paragraphs: list[str] = field(default_factory=list)
    caution: Caution | None = None
    blocks: list[Table | Picture] = field(default_factory=list)
    galleries: list[Gallery] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    topics: list[tuple[str, str]] = field(default_factory=list)
    configuration: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing but the heading would be printed."""
        return not (self.caution or self.blocks or self.galleries or self.facts or self.topics)


def blocks(*found: Table | Picture | None) -> list[Table | Picture]:
    """Those that the record has numbers for, each with the stamp explained where a name in it is marked."""
    return [explained(block) for block in found if block is not None]


def explained(block: Table | Picture) -> Table | Picture:
    """The block, its caption saying what the mark of a checkpoint chosen on test images means if it shows one."""
    if isinstance(block, Picture):
        printed = [block.title, *(panel.svg for panel in block.panels)]
    else:
        printed = [column.title for column in block.columns]
        printed += [text for row in block.rows for text in (row.heading, *(cell.text for cell in row.cells))]
    return replace(block, caption=f"{block.caption} {EXPLANATION}") if MARK in "".join(printed) else block


def sections(results: Results, run_folder: Path) -> list[Section]:
    """Every section that the record has something for, in reading order."""
    lookup, strips = (
        Lookup(results),
        galleries(results, run_folder),
    )  # a missing image is reported before anything is drawn
    found = [
        Section("generations", "Generations", blocks=generation_blocks(lookup)),
        Section("models", "Models", blocks=model_blocks(lookup)),
        Section("seeds", "Across seeds", blocks=blocks(*across_seeds.seed_means(lookup))),
        calibration(lookup),
        attack(lookup),
        Section(
            "corruptions",
            "Corruptions",
            paragraphs=set_text(lookup, "corruption"),
            blocks=blocks(grids.severity_maps(lookup), *members.by_member(lookup, "corruption")),
        ),
        Section(
            "perturbations",
            "Perturbations",
            paragraphs=set_text(lookup, "perturbation"),
            blocks=blocks(overview.flips(lookup), *members.by_member(lookup, "perturbation")),
        ),
        Section("further", "Further benchmarks", blocks=blocks(*further.further(lookup))),
        Section(
            "published",
            "As the published study counted",
            blocks=blocks(published_counts.published_counts(lookup), published_counts.published_flips(lookup)),
        ),
        Section(
            "pseudo-labels",
            "Pseudo-labels",
            blocks=blocks(members.pseudo_labels(lookup), grids.selection(lookup), members.selection(lookup)),
        ),
        Section("training", "Training", blocks=blocks(curves.training(lookup))),
        Section("confusion", "Confusion", blocks=blocks(grids.confusion(lookup), *confusions.confusions(lookup))),
        Section("samples", "Sample images", sample_text(results), galleries=strips),
        Section(
            "provenance",
            "Provenance",
            facts=provenance.facts(lookup),
            configuration=provenance.configuration(results.config),
        ),
    ]
    cautions = unprinted_notes(results, [block for section in found for block in section.blocks])
    found.append(Section("limits", "What these numbers can and cannot say", topics=limits.limits(lookup) + cautions))
    return [section for section in found if not section.empty]


def set_text(lookup: Lookup, kind: Kind) -> list[str]:
    """What one kind of benchmark covers."""
    benchmark = lookup.benchmark(kind)
    return [] if benchmark is None else [wording.set_text(benchmark)]


def generation_blocks(lookup: Lookup) -> list[Table | Picture]:
    """The answer first: the tables of the chain."""
    if not lookup.checkpoints:
        return []
    found = blocks(generations.generations(lookup), generations.networks(lookup), overview.overview(lookup))
    return found if lookup.results.models else found + everything(lookup)


def model_blocks(lookup: Lookup) -> list[Table | Picture]:
    """The answer first: the tables of models that nsbench did not train."""
    if not lookup.results.models:
        return []
    return blocks(models.models(lookup), models.glance(lookup)) + everything(lookup)


def everything(lookup: Lookup) -> list[Table | Picture]:
    """The tables in which all stand side by side."""
    return blocks(
        comparisons.over_seeds(lookup),
        *comparisons.comparisons(lookup),
        robustness.robustness(lookup),
    )


def calibration(lookup: Lookup) -> Section:
    """Calibration, clean, scaled and corrupted."""
    found = blocks(
        reliability.reliability(lookup),
        calibrated.calibration(lookup),
        calibrated.scaled(lookup),
        calibrated.severity_maps(lookup),
        members.calibration(lookup),
    )
    return Section("calibration", "Calibration", calibrated.fitting_text(lookup), blocks=found)


def attack(lookup: Lookup) -> Section:
    """Accuracy under attack, after the signs that it misleads."""
    signs = attacks.masking(lookup)
    found = blocks(attacks.attack(lookup), curves.attack(lookup), curves.attacks(lookup))
    return Section("attack", "Attack", caution=Caution(attacks.MASKING, signs) if signs else None, blocks=found)


def unprinted_notes(results: Results, printed: Sequence[Table | Picture]) -> list[tuple[str, str]]:
    """Cautions on numbers that no table and no figure shows, so that none is lost."""
    shown = [text for block in printed for _, text in block.notes]
    left = [one for one in results.measurements if one.note and not any(one.note in text for text in shown)]
    return [(f"{one.model}, {one.key.benchmark}, {one.key.metric}.", one.note or "") for one in left]


def sample_text(results: Results) -> list[str]:
    """How to read the strips."""
    return ["Examples at the resolution that the network sees, enlarged without smoothing."] if results.samples else []


def galleries(results: Results, run_folder: Path) -> list[Gallery]:
    """Strips of example images by kind, embedded."""
    return [
        Gallery(title, [Sample(one, embedded(one, run_folder)) for one in results.samples if one.kind == kind])
        for kind, title in KINDS.items()
        if any(one.kind == kind for one in results.samples)
    ]


def embedded(sample: SampleImage, run_folder: Path) -> str:
    """The PNG as a data URI; errors as of `image_bytes`."""
    return "data:image/png;base64," + base64.b64encode(image_bytes(sample, run_folder)).decode()


def image_bytes(sample: SampleImage, run_folder: Path) -> bytes:
    """The PNG.

    Raises UserError when the file is missing, is no PNG, or lies outside the run folder (a record
    made elsewhere must not pull a private file into a report).
    """
    path = (run_folder / sample.file).resolve()
    if not path.is_relative_to(run_folder.resolve()):
        raise UserError(
            f"Sample image {sample.file!r} of results.json lies outside {run_folder}: "
            "make the record again with `nsbench evaluate`."
        )
    if not path.is_file():
        raise UserError(
            f"Sample image {sample.file!r} is missing from {run_folder}: make it again with `nsbench evaluate`."
        )
    content = path.read_bytes() if path.stat().st_size <= LARGEST_IMAGE else b""
    if not content.startswith(PNG):
        raise UserError(f"Sample image {path} is not a PNG file: delete it and make it again with `nsbench evaluate`.")
    return content
