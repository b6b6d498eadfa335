"""A calibration error freed of noise: its median-unbiased value and a 95 % interval that covers, zero included.

A calibration error is the norm theta of gaps of bins S, and gaps that are noise alone have a norm too. So percentiles
of the resampled norms ||S*|| lie too high, and never cover a true value of zero. But S* - S = Z fluctuates as S does
around its true value, whatever that is. Let the true gaps be tau * d, with a direction d of norm 1: then theta is drawn
like ||tau d + Z||. The interval keeps every tau >= 0 for which theta lies between the 2.5 and 97.5 % quantiles of
||tau d + Z||; the tau at which theta is the median is the median-unbiased value (inversion of a test along a ray).

The bootstrap sees too little noise in a bin with few surprises: one image differs from itself by its count alone, and a
rare event that did not happen has no spread. There Z is scaled towards the gap that the confidences themselves expect
(`noise_floor.expected_gaps`).

The direction is not known, and S itself holds noise. Each guess errs where the other holds, so both are taken and the
interval spans them:

- dense: d = S / theta. Right where a whole set is off; where few bins are, noise of the others is taken for truth.
- sparse: gaps shrunk by the non-negative garrote (Breiman 1995), S (1 - 2 var(Z) / S^2)+, so that noise falls out.
  Right where few bins or few of many cells are off; where all are off a little, too low.

The unbiased value of several cells is along their gaps, each cell first scaled to its own unbiased value. For one cell
that is the dense ray. An error below the median of noise alone has the upper end of one at that median: a set
that by chance shows less than noise says no more about the truth than one that shows noise (power-constrained limits,
Cowan et al. 2011, arXiv:1105.3166).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from nsbench.metrics.classification import Floats

LOW, MEDIAN, HIGH = 0.025, 0.5, 0.975

GARROTE = 2.0
"""Variances of noise taken off a squared gap. With 1 too much noise stays, with a threshold instead too much truth goes
(simulated: docs/statistics.md)."""

THIN = 3.0
"""How many wrong images in a bin weigh as much as what its confidences say of its noise. Without it the classwise error
of a sure network on 600 images covered zero in 39 % of trials; 3 to 30 did alike there, and where a network is far too
sure more of it makes the noise too small."""

PRECISION = 1e-9

BLOCK = 2**22
"""Numbers (gaps times resamples) that are added up at once: 32 MB of float64."""


@dataclass(frozen=True)
class RayEstimate:
    """A calibration error without its noise, in [0, 1]."""

    value: float
    """Median-unbiased."""
    low: float
    high: float
    """Ends of the 95 % interval, around the value."""


def ray_estimate(gaps: Floats, resampled: Floats, expected: Floats, images: int) -> RayEstimate:
    """Estimate the true calibration error from gaps of bins, or the mean of several.

    Args:
        gaps: shape (C, M), n_m/N * (acc_m - conf_m) of M bins in each of C cells: classes, or corruptions and
            severities. The error is the mean over cells of the sum of absolute gaps.
        resampled: shape (B, C, M), the same on each resample of the images, which the cells share.
        expected: shape (C, M), the absolute gap to expect of each bin were the network calibrated.
        images: N.

    Raises:
        ValueError: the shapes do not match, or there is no cell or no resample.

    >>> gaps, noise = np.array([[0.01, -0.01]]), np.array([[[0.02, 0.01]], [[-0.01, -0.03]], [[0.03, -0.01]]])
    >>> ray_estimate(gaps, gaps + noise, np.full((1, 2), 0.02), images=1000).low
    0.0
    """
    if gaps.ndim != 2 or resampled.shape[1:] != gaps.shape or not gaps.size or not len(resampled):
        raise ValueError(f"gaps must be (C, M) and resampled (B, C, M), but they are {gaps.shape}, {resampled.shape}")
    if expected.shape != gaps.shape:
        raise ValueError(f"expected gaps must be {gaps.shape} as the gaps are, but they are {expected.shape}")
    cells, bins = gaps.shape
    own = gaps.astype(np.float64).ravel()
    # One row of resamples a bin: sums over bins then run along memory.
    noise = _thickened(resampled.reshape(len(resampled), -1).T - own[:, None], expected.ravel(), images)
    filled = (own != 0) | noise.any(axis=1)
    cell = np.repeat(np.arange(cells), bins)[filled]
    own, noise = own[filled] / cells, noise[filled] / cells
    error = float(np.abs(own).sum())
    left = _sparse(own, noise)
    dense = _Ray(own, noise)
    sparse = _Ray(left, noise) if left.any() else dense
    middle = dense if cells == 1 else _Ray(_by_cell(own, noise, cell), noise)
    value = middle.at(MEDIAN, error)
    upper = max(error, dense.noise(MEDIAN))
    low = min(value, dense.at(HIGH, error), sparse.at(HIGH, error))
    high = max(value, dense.at(LOW, upper), sparse.at(LOW, upper))
    return RayEstimate(min(value, 1.0), min(low, 1.0), min(high, 1.0))


class _Ray:
    """Norms of tau * direction + noise.

    Args:
        direction: shape (J,); scaled to norm 1. Without any, that of the noise's own spread.
        noise: shape (J, B).
    """

    def __init__(self, direction: NDArray[np.float64], noise: NDArray[np.float64]) -> None:
        if not direction.any():
            direction = noise.std(axis=1)
        size = float(np.abs(direction).sum())
        self._direction = direction / size if size else direction
        self._noise = noise
        self._norms = self._norms_at(0.0)

    def noise(self, share: float) -> float:
        """A quantile of the noise's own norm."""
        return float(np.quantile(self._norms, share))

    def at(self, share: float, error: float) -> float:
        """The tau at which an error is this quantile of the norms; 0 where noise alone reaches it."""
        if self.noise(share) >= error:
            return 0.0
        # Beyond the error by the largest norm of the noise, every norm is larger than the error.
        far = error + float(self._norms.max()) + PRECISION
        return float(brentq(lambda tau: np.quantile(self._norms_at(tau), share) - error, 0.0, far, xtol=PRECISION))

    def _norms_at(self, tau: float) -> NDArray[np.float64]:
        """Norms, shape (B,)."""
        norms = np.zeros(self._noise.shape[1])
        rows = max(1, BLOCK // len(norms))
        for start in range(0, len(self._noise), rows):
            here = slice(start, start + rows)
            norms += np.abs(tau * self._direction[here, None] + self._noise[here]).sum(axis=0)
        return norms


def _thickened(noise: NDArray[np.float64], expected: Floats, images: int) -> NDArray[np.float64]:
    """Noise (J, B), in bins of little evidence scaled towards the mean absolute gap that is expected of them."""
    evidence = noise.var(axis=1) * images**2
    sizes = np.abs(noise).mean(axis=1)
    target = (evidence * sizes + THIN * expected) / (evidence + THIN)
    return np.asarray(noise * np.divide(target, sizes, out=np.ones(len(sizes)), where=sizes > 0)[:, None])


def _sparse(own: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaps (J,) by the non-negative garrote."""
    squares = own**2
    left = np.divide(GARROTE * noise.var(axis=1), squares, out=np.ones(len(own)), where=squares > 0)
    return np.asarray(own * np.maximum(0.0, 1 - left))


def _by_cell(own: NDArray[np.float64], noise: NDArray[np.float64], cell: NDArray[np.intp]) -> NDArray[np.float64]:
    """Gaps (J,), those of each cell scaled so that they add up to its own unbiased value."""
    scaled = np.zeros(len(own))
    for one in np.unique(cell):
        here = cell == one
        error = float(np.abs(own[here]).sum())
        if error:
            scaled[here] = own[here] * (_Ray(own[here], noise[here]).at(MEDIAN, error) / error)
    return scaled
