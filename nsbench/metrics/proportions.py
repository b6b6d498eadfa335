"""Exact intervals of shares of images, and of means of numbers in [0, 1] of which none or all were seen.

A resample of images among which nothing happened shows nothing either, so the bootstrap says [0, 0] however few the
images are. The interval of Clopper & Pearson 1934, Biometrika 26, covers at any share and any count of images.
"""

from scipy.special import betaincinv

TAIL = 0.025
"""Largest probability beyond either end of a 95 % interval."""


def share_interval(count: int, n: int) -> tuple[float, float]:
    """95 % interval of a probability of which `count` of n independent images show the event: Clopper & Pearson 1934.

    The ends are the probabilities at which that many, or that few, would be seen in 2.5 % of all samples: quantiles
    of beta distributions.

    Args:
        count: 0..n.
        n: at least 1.

    Returns:
        In [0, 1]; the lower end is 0 at a count of 0, the upper one 1 at a count of n.

    Raises:
        ValueError: there are no images, or the count is not among 0..n.

    >>> low, high = share_interval(0, 500)
    >>> low, round(high, 4)
    (0.0, 0.0074)
    """
    if not 0 <= count <= n or n < 1:
        raise ValueError(f"{count} of {n} images is not a share")
    low = float(betaincinv(count, n - count + 1, TAIL)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - TAIL)) if count < n else 1.0
    return low, high


def unanimous_interval(mean: float, n: int) -> tuple[float, float] | None:
    """95 % interval of a mean of n numbers in [0, 1] that are all 0, or all 1; None where they are not.

    Such a mean is at most the probability that a number is above 0, and of that 0 of n were seen; and so at 1.

    Args:
        mean: in [0, 1].
        n: independent images or sequences, at least 1.

    >>> unanimous_interval(0.0, 500) == share_interval(0, 500)
    True
    >>> unanimous_interval(0.25, 500) is None
    True
    """
    return share_interval(int(mean) * n, n) if mean in (0, 1) else None
