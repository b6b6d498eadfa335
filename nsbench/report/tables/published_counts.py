"""Numbers as the published study counted them, apart from all others, with which they are not comparable."""

from nsbench.report.lookup import Lookup
from nsbench.report.tables.robustness import INTERVALS, decimals, emphasis, fitted
from nsbench.report.tables.table import Column, Emphasis, Notes, Row, Table, measured, places, words
from nsbench.results.key import Key, Kind

FLIPS = "paper_flip_probability"
COUNTED = "Counted as in the published study, and comparable with nothing else in this report"
BINS = "unweighted mean gap of ten bins over every class probability of every image, not the expected calibration error"
FILES = "mean over all {n} {kind}s measured here, those for validation included"
FIRST = (
    "every frame is compared with the first one, whatever the perturbation, over all {n} perturbations measured here"
)
WANTED: tuple[tuple[str, Kind, str, bool, str], ...] = (
    ("Calibration error", "clean", "paper_calibration_error", False, BINS),
    ("Calibration error after scaling", "scaled", "paper_calibration_error", False, BINS),
    ("Mean error", "corruption", "paper_mean_error", False, FILES),
    ("Corruption error", "corruption", "paper_mean_corruption_error", True, FILES),
    ("Relative corruption error", "corruption", "paper_relative_mean_corruption_error", True, FILES),
    ("Flip probability", "perturbation", "paper_mean_flip_probability", False, FIRST),
    ("Flip rate", "perturbation", "paper_mean_flip_rate", True, FIRST),
)


def published_counts(lookup: Lookup) -> Table | None:
    """The `paper_*` means, one row a model; nothing where none was measured."""
    wanted = [one for one in WANTED if lookup.measured(lookup.key(one[1], one[2]))]
    if not wanted:
        return None
    notes = Notes()
    columns = [Column(lookup.noun.capitalize(), numeric=False)]
    columns += [
        Column(name, "% of baseline" if ratio else "%", marks=notes.mark(filled(lookup, kind, text)))
        for name, kind, _, ratio, text in wanted
    ]
    rows = []
    for one in lookup.entries:
        base = lookup.is_baseline(one)
        cells = [
            measured(lookup.find(one, lookup.key(kind, metric)), notes, decimals(lookup, kind), baseline=base and ratio)
            for _, kind, metric, ratio, _ in wanted
        ]
        rows.append(Row([words(lookup.label(one)), *cells], emphasis(lookup, one)))
    caption = f"{COUNTED}: printed to stand beside published values. The footnotes say how. {INTERVALS}."
    return Table("published_counts", "As the published study counted", caption, columns, rows, notes.marked())


def filled(lookup: Lookup, kind: Kind, text: str) -> str:
    """A footnote with the number of corruptions or perturbations that the study's way of counting takes in."""
    found = lookup.benchmark(kind)
    return text.format(n="" if found is None else len(found.counted + found.shown), kind=kind)


def published_flips(lookup: Lookup) -> Table | None:
    """Flip probability of each perturbation against the first frame, and the mean over all."""
    found = lookup.benchmark("perturbation")
    if found is None:
        return None
    every = [(name, lookup.key("perturbation", FLIPS, name)) for name in found.counted + found.shown]
    names = [name for name, key in every if lookup.measured(key)]
    if not names:
        return None
    notes, digits = Notes(), places(found.images)
    lines: list[tuple[str, Key, Emphasis]] = [(name, key, "") for name, key in every if name in names]
    mean = lookup.key("perturbation", f"paper_mean_{FLIPS.removeprefix('paper_')}")
    if lookup.measured(mean):
        lines.append((f"all {len(names)} averaged", mean, "mean"))
    rows = [
        Row([words(name), *(measured(lookup.find(one, key), notes, digits) for one in lookup.entries)], style)
        for name, key, style in lines
    ]
    columns = [Column("Perturbation", numeric=False), *(Column(lookup.label(one), "%") for one in lookup.entries)]
    caption = (
        f"{COUNTED}: {FIRST.format(n=len(found.counted + found.shown))}. It comes out higher than the flip probability "
        f"of this report, which compares most perturbations with the frame before. {found.name}, "
        f"n = {found.images:,}; {INTERVALS}."
    )
    title = "Flip probability as the published study counted"
    return fitted(lookup, Table("published_flips", title, caption, columns, rows, notes.marked()))
