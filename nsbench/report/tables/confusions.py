"""The most frequent confusions, and the hardest classes, where a matrix of all classes has no room."""

import numpy as np

from nsbench.report.figures.grids import MOST_CLASSES
from nsbench.report.lookup import Entry, Lookup
from nsbench.report.tables.members import share
from nsbench.report.tables.table import Column, Row, Table, count, words
from nsbench.results.confusions import Confusions

SHOWN = 25


def confusions(lookup: Lookup) -> list[Table]:
    """Two tables on the foremost model; nothing where its matrix is drawn."""
    one = lookup.foremost()
    found = lookup.diagnostics(one)
    if found is None or (found.confusions is None and len(found.confusion) <= MOST_CLASSES):
        return []
    counts = found.confusions or Confusions.of(np.array(found.confusion))
    return [most_frequent(lookup, one, counts), hardest(lookup, one, counts)]


def most_frequent(lookup: Lookup, one: Entry, found: Confusions) -> Table:
    """The pairs of classes that are confused most often."""
    wrong = sum(found.images) - sum(found.right)
    shown, names = found.most[:SHOWN], class_names(lookup, found)
    rows = [
        Row([words(names[true]), words(names[other]), count(n), share(n / found.images[true])])
        for true, other, n in shown
    ]
    columns = [Column("True class", numeric=False), Column("Predicted", numeric=False), Column("Images")]
    columns.append(Column("Share of the true class", "%"))
    caption = (
        f"The {len(shown)} pairs with the most test images, which are {sum(n for *_, n in shown):,} of the {wrong:,} "
        f"errors; there are {len(found.images):,} classes. Counts, not estimates, so without intervals."
    )
    return Table("confusions", f"Most frequent confusions, {lookup.label(one)}", caption, columns, rows, [])


def hardest(lookup: Lookup, one: Entry, found: Confusions) -> Table:
    """The classes with the lowest accuracy."""
    names = class_names(lookup, found)
    seen = [place for place, images in enumerate(found.images) if images]
    ranked = sorted(seen, key=lambda place: (found.right[place] / found.images[place], place))[:SHOWN]
    rows = [
        Row([words(names[place]), count(found.images[place]), share(found.right[place] / found.images[place])])
        for place in ranked
    ]
    columns = [Column("Class", numeric=False), Column("Images"), Column("Right", "%")]
    fewest = min((found.images[place] for place in ranked), default=0)
    caption = (
        f"The {len(ranked)} classes with the lowest top-1 accuracy. Among many classes some are last by chance: with "
        f"{fewest:,} images a class, an accuracy is known to within ±{98 / max(fewest, 1) ** 0.5:.0f} points at worst "
        "(95 %)."
    )
    return Table("hardest_classes", f"Hardest classes, {lookup.label(one)}", caption, columns, rows, [])


def class_names(lookup: Lookup, found: Confusions) -> list[str]:
    """The names of the classes; their numbers where the record has fewer names."""
    names = lookup.results.data.classes
    return names if len(names) == len(found.images) else [str(place) for place in range(len(found.images))]
