"""What a comparison concludes."""

from typing import Literal

SIGNIFICANT = 0.05

Verdict = Literal["better", "worse", "no evidence"]


def verdict(p_holm: float | None, low: float | None, high: float | None) -> Verdict:
    """Better or worse only where the corrected p-value is small and the interval leaves out zero.

    >>> verdict(0.01, -0.2, -0.1), verdict(0.01, -0.2, 0.1), verdict(None, 0.1, 0.2)
    ('better', 'no evidence', 'no evidence')
    """
    if p_holm is None or low is None or high is None or p_holm >= SIGNIFICANT:
        return "no evidence"
    return "better" if high < 0 else "worse" if low > 0 else "no evidence"
