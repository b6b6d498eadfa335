"""The data of a record, described."""

from nsbench.data.images import Dataset
from nsbench.results.record import DatasetRecord


def describe(dataset: Dataset, labeled: int = 0, unlabeled: int = 0, validation: int = 0) -> DatasetRecord:
    """The record of a data set, with the numbers of training images that had each use."""
    return DatasetRecord(
        name=dataset.name,
        title=dataset.title,
        licence=dataset.licence,
        citation=dataset.citation,
        checksum=dataset.checksum,
        classes=list(dataset.classes),
        labeled=labeled,
        unlabeled=unlabeled,
        validation=validation,
        test=len(dataset.test),
    )
