"""The share of images that a model gets wrong although it is sure."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nsbench.extend import Metric, register_metric, weighted_mean

SURE = 0.5


def confident_errors(
    logits: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.float32] | None
) -> ArrayLike:
    """Share of images (...) whose predicted class is wrong at a confidence of at least SURE."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    confidence = 1 / powers.sum(1)
    return weighted_mean((logits.argmax(1) != labels) & (confidence >= SURE), weights)


CONFIDENT_ERRORS = Metric(
    name="confident_errors", title="share of confident errors", headline=True, function=confident_errors
)

register_metric(CONFIDENT_ERRORS)
