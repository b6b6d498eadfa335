"""Temperature scaling: one number that makes a model neither too sure nor too unsure."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from nsbench.metrics.classification import Floats, Integers, check_scores, softmax

LOWEST, HIGHEST = 0.01, 100.0
"""Temperatures that are tried; a fit that would be outside ends at the nearer of them."""


def fit_temperature(logits: Floats, labels: Integers) -> float:
    """Find the T > 0 at which logits / T have the smallest negative log-likelihood.

    Guo et al. 2017, arXiv:1706.04599, section 4.2. Fit it on held-out images, never on the test set.
    The likelihood is convex in 1/T, so its derivative, mean over images of (expected logit - logit of
    the label), crosses zero at most once; Brent's method finds that T to 1e-9 of its value.

    Where no T is best, the answer is stated rather than left to an optimiser: `LOWEST` if the
    likelihood improves all the way down (every label has the largest logit), `HIGHEST` if it improves
    all the way up (the logits say no more of the label than chance, or less), 1.0 if no T changes
    anything (the logits of each image are equal).

    Args:
        logits: shape (N, K), finite, N at least 1.
        labels: shape (N,), in 0..K-1.

    Returns:
        T in [`LOWEST`, `HIGHEST`]; above 1 for an overconfident model.

    Raises:
        ValueError: there are no images, the shapes do not match, a logit is not finite or a label is
            no class.

    >>> round(fit_temperature(np.array([[2.0, 0.0]] * 4), np.array([0, 0, 0, 1])), 6)
    1.820478
    >>> fit_temperature(np.array([[2.0, 0.0]]), np.array([0]))
    0.01
    """
    check_scores(logits, labels)
    if not labels.size:
        raise ValueError("a temperature cannot be fitted without images")
    below = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    if not below.any():
        return 1.0
    of_label = np.take_along_axis(below, labels[:, None].astype(np.intp), axis=1).mean()

    def slope(log_temperature: float) -> float:
        probabilities = softmax(below / np.exp(log_temperature))
        return float((probabilities * below).sum(axis=1).mean() - of_label)

    if slope(np.log(LOWEST)) <= 0:
        return LOWEST
    if slope(np.log(HIGHEST)) >= 0:
        return HIGHEST
    return float(np.exp(brentq(slope, np.log(LOWEST), np.log(HIGHEST), xtol=1e-9, rtol=1e-12)))


def scale_logits(logits: Floats, temperature: float) -> NDArray[np.float64]:
    """Divide logits (..., K) by a temperature: every metric of the result is that metric after scaling.

    The order of the classes stays, and with it every top-1 and top-5 error: float32 logits that
    differ still do as float64 quotients.

    Raises:
        ValueError: the temperature is not positive and finite.

    >>> scale_logits(np.array([4.0, 2.0], np.float32), 2.0)
    array([2., 1.])
    """
    if not 0 < temperature < np.inf:
        raise ValueError(f"a temperature must be positive and finite, but it is {temperature}")
    return logits.astype(np.float64) / temperature
