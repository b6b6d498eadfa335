"""How two sides' versions of the same images compare: arrays in, values out.

Levels are grey levels, 0 to 255. A score is 1 for a misclassified image and 0 for another, or the share of a sequence's
frames that flip.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

NORMAL_95 = 1.959963984540054
"""Standard errors on either side of a 95 % interval,"""
NORMAL_90 = 1.6448536269514722
"""that of a 90 % interval, which is that of two one-sided tests at 5 % each."""


@dataclass(frozen=True)
class Summary:
    """What is known of a set of images: each float64 (draws, N), a draw being a set made with a seed of its own."""

    mean: Floats
    """Mean of an image's pixels, or of all pixels of a sequence, in levels."""
    spread: Floats
    """Their standard deviation."""
    distance: Floats
    """Mean absolute difference to the clean image."""
    score: Floats


@dataclass(frozen=True)
class Difference:
    """Ours less published, averaged over images."""

    value: float
    standard_error: float

    @property
    def half_width(self) -> float:
        """Half width of its 95 % interval."""
        return NORMAL_95 * self.standard_error

    @property
    def half_width_90(self) -> float:
        """Half width of its 90 % interval."""
        return NORMAL_90 * self.standard_error

    @property
    def standard_score(self) -> float:
        """Value over standard error; 0 of nothing over nothing."""
        if self.standard_error:
            return self.value / self.standard_error
        return math.copysign(math.inf, self.value) if self.value else 0.0

    @property
    def p_value(self) -> float:
        """That there is no difference: two-sided, by the normal distribution."""
        return math.erfc(abs(self.standard_score) / math.sqrt(2))

    def equivalent(self, margin: float) -> bool:
        """Whether the 90 % interval lies inside plus or minus `margin`.

        These are two one-sided tests at 5 % each, of "below -margin" and of "above margin" (Schuirmann 1987, Journal of
        Pharmacokinetics and Biopharmaceutics 15, 657-680): where the true difference is the margin or more, it is
        called smaller in at most 5 % of trials. False says that this is not shown, not that there is a difference.

        >>> Difference(0.002, 0.003).equivalent(0.01), Difference(0.002, 0.006).equivalent(0.01)
        (True, False)
        """
        return abs(self.value) + self.half_width_90 < margin


@dataclass(frozen=True)
class Agreement:
    """How far two versions of the same pixels are apart."""

    largest: int
    """Level."""
    mean: float
    """Absolute difference in levels."""
    one: float
    """Share of pixels that differ by one level, in [0, 1]."""
    more: float
    """Share of pixels that differ by more."""


def summarise(images: Pixels, clean: Pixels, score: NDArray[np.float64]) -> Summary:
    """Summary of one draw.

    Args:
        images: (N, 32, 32, 3), or (N, T, 32, 32, 3) for sequences.
        clean: (N, 32, 32, 3).
        score: (N,).
    """
    rows = [_pixel_statistics(image, original) for image, original in zip(images, clean, strict=True)]
    mean, spread, distance = np.array(rows).T
    return Summary(mean[None], spread[None], distance[None], np.asarray(score, dtype=np.float64)[None])


def join(summaries: Sequence[Summary]) -> Summary:
    """One summary of several draws."""
    parts = [asdict(summary) for summary in summaries]
    return Summary(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def difference(published: Floats, ours: Floats) -> Difference:
    """Difference of two quantities (draws, N) of the same images, paired by image.

    Each image's draws are averaged first. Where both sides draw from the same distribution, the N differences have
    expectation 0, so their spread is all there is to the error of their mean: it is the variation from draw to draw,
    without that from image to image, and the interval is tighter than one that takes images for a sample.
    Where nothing is random it is the paired interval over images.

    >>> found = difference(np.array([[0.0, 0, 1, 1]]), np.array([[0.0, 1, 1, 1]]))
    >>> found.value, round(found.half_width, 3), found.standard_score
    (0.25, 0.49, 1.0)
    """
    return mean_difference([(published, ours)])


def mean_difference(sides: Sequence[tuple[Floats, Floats]]) -> Difference:
    """The difference averaged over sets of the same N images, published and ours each (draws, N).

    Each image's differences are averaged over the sets first, so that what its sets share stays in the interval.

    >>> nothing, one = np.zeros((1, 4)), np.array([[0.0, 1, 1, 1]])
    >>> found = mean_difference([(nothing, one), (nothing, nothing)])
    >>> found.value, round(found.standard_error, 3)
    (0.375, 0.125)
    """
    each = np.mean([ours.mean(axis=0) - published.mean(axis=0) for published, ours in sides], axis=0)
    return Difference(float(each.mean()), float(each.std(ddof=1)) / math.sqrt(len(each)))


def agreement(published: Pixels, ours: Pixels) -> Agreement:
    """Compare pixel by pixel.

    >>> agreement(np.array([3, 3, 3, 3], dtype=np.uint8), np.array([3, 2, 3, 6], dtype=np.uint8))
    Agreement(largest=3, mean=1.0, one=0.25, more=0.25)
    """
    apart = np.bincount(_distances(published, ours).ravel(), minlength=2)
    shares = apart / apart.sum()
    largest, mean = int(np.flatnonzero(apart)[-1]), float(shares @ np.arange(len(shares)))
    return Agreement(largest, mean, float(shares[1]), float(shares[2:].sum()))


def sampling_half_width(published: Floats) -> float:
    """Half the 95 % interval of the mean of (draws, N) if the N images are taken for a sample."""
    each = published.mean(axis=0)
    return NORMAL_95 * float(each.std(ddof=1)) / math.sqrt(len(each))


def rejected(p_values: Sequence[float], level: float) -> list[int]:
    """Positions of the hypotheses that Holm's procedure rejects, whose family-wise error is at most `level`.

    Holm 1979 (Scandinavian Journal of Statistics 6, 65-70).

    >>> rejected([0.04, 0.001, 0.02], 0.05)
    [1, 2, 0]
    >>> rejected([0.04, 0.001, 0.03], 0.05)
    [1]
    """
    found: list[int] = []
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    for rank, position in enumerate(order):
        if p_values[position] > level / (len(order) - rank):
            break
        found.append(position)
    return found


def chi_square_p_value(standard_scores: Sequence[float]) -> float:
    """Probability of a larger sum of squares of as many independent standard normal numbers.

    >>> round(chi_square_p_value([1.0, -1.0, 1.0]), 3)
    0.392
    """
    return float(chi2.sf(sum(score**2 for score in standard_scores), len(standard_scores)))


def _pixel_statistics(image: Pixels, clean: Pixels) -> tuple[float, float, float]:
    """Mean, standard deviation, and mean absolute distance to `clean`, of an image or of all frames of a sequence."""
    return float(image.mean()), float(image.std()), float(_distances(image, clean).mean())


def _distances(one: Pixels, other: Pixels) -> Pixels:
    """Absolute differences of bytes that broadcast."""
    return np.where(one > other, one - other, other - one)
