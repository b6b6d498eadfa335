"""The confusion matrix of many classes, as its diagonal and its largest entries off it."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from nsbench.checkpoints.record import Count, Record

WHOLE = 100
"""A record has the whole matrix of up to this many classes."""
MOST = 200
"""It has this many pairs when there are more classes."""


class Confusions(Record):
    """What is on the diagonal of a confusion matrix, and what is largest off it."""

    images: list[Count] = Field(description="by true class")
    right: list[Count] = Field(description="by true class, those predicted as it")
    most: list[tuple[Count, Count, Count]] = Field(
        description="true class, predicted class and images of the most frequent confusions, descending"
    )

    @model_validator(mode="after")
    def _is_of_one_number_of_classes(self) -> Self:
        """Raise ValueError where a class is spoken of that is not counted."""
        known = len(self.images)
        if len(self.right) != known or any(max(one[:2]) >= known for one in self.most):
            raise ValueError("confusions of a class that has no images")
        return self

    @classmethod
    def of(cls, matrix: NDArray[np.int64]) -> Self:
        """Take them from a matrix (K, K) whose rows are true classes.

        >>> Confusions.of(np.array([[5, 1, 0], [0, 3, 3], [2, 0, 4]])).most
        [(1, 2, 3), (2, 0, 2), (0, 1, 1)]
        """
        wrong = matrix.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:MOST]
        found = zip(*(axis.tolist() for axis in np.unravel_index(order, wrong.shape)), strict=True)
        most = [(true, predicted, int(wrong[true, predicted])) for true, predicted in found if wrong[true, predicted]]
        return cls(images=matrix.sum(1).tolist(), right=matrix.diagonal().tolist(), most=most)
