"""Signs that attacks fail because gradients mislead them, not because the model is robust.

Athalye et al. 2018 (arXiv:1802.00420, section 3.1) list how such gradient masking shows; Carlini et al. 2019
(arXiv:1902.06705, section 4) repeat it as a checklist. A sign is a reason to distrust the accuracy under attack; its
absence proves nothing. All is judged from stored outcomes, so it costs no forward pass.

Noise is distinguished from a sign by exact one-sided tests at `LEVEL`, divided by how many signs are looked for, and
for each by how many comparisons are made (Bonferroni). Where two accuracies are compared, they are of the same images,
and only those on which they differ count: under the null hypothesis each is a fair coin (McNemar 1947). Every sign is
judged on all images that the attacks it is about were shown, so that another attack on fewer images changes nothing.

A single step overshoots: in an ordinary network too its accuracy may rise at a larger eps, where an attack of many
steps leaves nothing right. That is a footnote, unless such an attack confirms it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc

from nsbench.protocols.attacks import find_attack, sweep_names

Bools = NDArray[np.bool_]

LEVEL = 0.01
"""Probability that an honest model shows any sign, for too few images."""

ZERO_GRADIENT_SHARE = 0.05
"""Share of images without a gradient from which the sign is given."""

UNBOUNDED = 0.5
"""The eps from which any image can be turned into plain grey, so that no model can beat chance."""


@dataclass(frozen=True)
class Outcomes:
    """What an attack did to N images.

    Attributes:
        epsilons: E bounds of the change of a pixel, in any order, each once.
        wrong: bool (E, N), whether an image is misclassified under attack; an image that is wrong when clean is.
    """

    epsilons: tuple[float, ...]
    wrong: Bools

    def __post_init__(self) -> None:
        if self.wrong.ndim != 2 or len(set(self.epsilons)) != len(self.wrong) or len(self.epsilons) != len(self.wrong):
            raise ValueError(
                f"outcomes must be (E, N) for E different eps, but they are {self.wrong.shape} for {self.epsilons}"
            )

    def at(self, epsilon: float) -> Bools:
        """Outcomes (N,) at one of the eps."""
        found: Bools = self.wrong[self.epsilons.index(epsilon)]
        return found


@dataclass(frozen=True)
class ZeroGradients:
    """The gradient is zero in every pixel of many images, so no attack by gradient can move them.

    Attributes:
        share: share of all images, in [0, 1].
    """

    share: float


@dataclass(frozen=True)
class AccuracyRises:
    """An attack that may change more does less, though it could have done the same.

    Attributes:
        attack: its name.
        smaller: the eps at which it did more.
        larger: the eps at which it did less.
        at_smaller: accuracy there, in [0, 1].
        at_larger: accuracy there, higher.
        p_value: one-sided, of the difference being noise.
    """

    attack: str
    smaller: float
    larger: float
    at_smaller: float
    at_larger: float
    p_value: float


@dataclass(frozen=True)
class Outdone:
    """An attack is beaten, at the same eps, by one that should be weaker.

    Many steps by one step: the gradient is right only near the image. Any gradient by noise: it is right nowhere.

    Attributes:
        attack: the one that should be stronger.
        by: the one that is.
        epsilon: where.
        accuracy: under `attack`, in [0, 1].
        accuracy_by: under `by`, lower.
        p_value: one-sided, of the difference being noise.
    """

    attack: str
    by: str
    epsilon: float
    accuracy: float
    accuracy_by: float
    p_value: float


@dataclass(frozen=True)
class SurvivesAnything:
    """Accuracy is above chance though every image could have been made the same.

    Attributes:
        attack: its name.
        epsilon: at least `UNBOUNDED`.
        accuracy: in [0, 1].
        chance: accuracy of guessing, in [0, 1].
        p_value: one-sided, of the difference being noise.
    """

    attack: str
    epsilon: float
    accuracy: float
    chance: float
    p_value: float


Sign = ZeroGradients | AccuracyRises | Outdone | SurvivesAnything
Tested = TypeVar("Tested", AccuracyRises, Outdone, SurvivesAnything)


def masking_signs(attacks: Mapping[str, Outcomes], zero_gradient: Bools, classes: int) -> tuple[Sign, ...]:
    """Find all signs in one model's outcomes; of each kind and attack, the clearest.

    Args:
        attacks: by name, such as `fgsm`, `pgd`, `noise`, on the first images of one set, each on as many as it was
            shown. What was not measured is not judged.
        zero_gradient: bool (N,), whether an image's gradient is zero in every pixel.
        classes: K, for the accuracy of a guess among equally frequent classes.

    >>> honest = Outcomes((0.0, 0.1), np.array([[False, False], [True, True]]))
    >>> masking_signs({"fgsm": honest}, np.array([False, False]), 10)
    ()
    >>> masking_signs({"fgsm": honest}, np.array([True, False]), 10)
    (ZeroGradients(share=0.5),)
    """
    judged: list[Callable[[float], Iterator[Sign]]] = []
    for name, outcomes in attacks.items():
        known = find_attack(name)
        if not known.by_gradient:
            continue
        one_step = known.sweep
        judged.append(partial(confirmed_rises, name, attacks) if one_step else partial(accuracy_rises, name, outcomes))
        if known.beats:
            weaker = [other for other in known.beats if other in attacks]
            judged += [partial(outdone, name, outcomes, other, attacks[other]) for other in weaker]
            judged.append(partial(survives_anything, name, outcomes, classes))
    level = LEVEL / max(1, len(judged))
    return (*zero_gradients(zero_gradient), *(sign for judge in judged for sign in judge(level)))


def overshoots(attacks: Mapping[str, Outcomes], signs: Sequence[Sign]) -> tuple[AccuracyRises, ...]:
    """Attacks of one step under which accuracy rises with eps, though that is none of the signs: the clearest rises.

    They say that a column of the table means little, and nothing of masking.
    """
    confirmed = {sign.attack for sign in signs if isinstance(sign, AccuracyRises)}
    names = [name for name in sweep_names() if name in attacks and name not in confirmed]
    return tuple(rise for name in names for rise in accuracy_rises(name, attacks[name]))


def zero_gradients(zero_gradient: Bools, threshold: float = ZERO_GRADIENT_SHARE) -> Iterator[ZeroGradients]:
    """Give the sign if the share of images (N,) without a gradient is at least `threshold`."""
    share = float(zero_gradient.mean())
    if share >= threshold:
        yield ZeroGradients(share)


def accuracy_rises(name: str, outcomes: Outcomes, level: float = LEVEL) -> Iterator[AccuracyRises]:
    """Give the sign if accuracy rises from any positive eps to any larger one; the pair least likely to be noise.

    A rise from eps 0 would need images that an attack puts right, and those that are wrong when clean stay wrong.
    """
    found = _rises(name, outcomes)
    yield from _clearest(found, level / max(1, len(found)))


def confirmed_rises(name: str, attacks: Mapping[str, Outcomes], level: float = LEVEL) -> Iterator[AccuracyRises]:
    """Give the sign if accuracy rises under an attack of one step and an iterated attack confirms it.

    It does if its own accuracy rises, or if at the larger eps it leaves more images right than the one step at the
    smaller, on the images that both were shown: though it may change more, it does less.
    """
    found = _rises(name, attacks[name])
    clear = [sign for sign in found if sign.p_value < level / len(found)]
    iterated = {other: outcomes for other, outcomes in attacks.items() if find_attack(other).iterated}
    if not any(list(accuracy_rises(other, outcomes, level)) for other, outcomes in iterated.items()):
        tested = [(sign, other) for sign in found for other in iterated if sign.larger in iterated[other].epsilons]
        confirmed = {
            (sign.smaller, sign.larger)
            for sign, other in tested
            for strong, weak in [_both(iterated[other].at(sign.larger), attacks[name].at(sign.smaller))]
            if fewer_errors_p_value(strong, weak) < level / len(tested)
        }
        clear = [sign for sign in clear if (sign.smaller, sign.larger) in confirmed]
    yield from _clearest(clear, level)


def outdone(name: str, outcomes: Outcomes, other: str, by: Outcomes, level: float = LEVEL) -> Iterator[Outdone]:
    """Give the sign if another attack leaves a lower accuracy at an eps that both have; the clearest such eps.

    On the images that both were shown.
    """
    shared = [epsilon for epsilon in sorted(outcomes.epsilons) if epsilon > 0 and epsilon in by.epsilons]
    found = [
        Outdone(name, other, epsilon, *_accuracies(mine, theirs), fewer_errors_p_value(mine, theirs))
        for epsilon in shared
        for mine, theirs in [_both(outcomes.at(epsilon), by.at(epsilon))]
    ]
    yield from _clearest(found, level / max(1, len(shared)))


def survives_anything(name: str, outcomes: Outcomes, classes: int, level: float = LEVEL) -> Iterator[SurvivesAnything]:
    """Give the sign if accuracy beats a guess at the largest eps, which must be at least `UNBOUNDED` to be judged."""
    largest = max(outcomes.epsilons)
    if largest < UNBOUNDED:
        return
    right, chance = int((~outcomes.at(largest)).sum()), 1 / classes
    n = outcomes.wrong.shape[1]
    p_value = float(bdtrc(right - 1, n, chance)) if right else 1.0
    yield from _clearest([SurvivesAnything(name, largest, right / n, chance, p_value)], level)


def fewer_errors_p_value(fewer: Bools, more: Bools) -> float:
    """One-sided exact McNemar test: how likely it is by chance that `fewer` errs on that many fewer images than `more`.

    Args:
        fewer: bool (N,), errors of the one that seems better.
        more: bool (N,), errors on the same images.

    Returns:
        In [0, 1]; 1 if `fewer` never is right where `more` errs.

    >>> fewer_errors_p_value(np.array([False] * 5), np.array([True] * 5)) == 0.5**5
    True
    """
    better = int(np.count_nonzero(~fewer & more))
    worse = int(np.count_nonzero(fewer & ~more))
    return float(bdtr(worse, better + worse, 0.5))


def _accuracies(first: Bools, second: Bools) -> tuple[float, float]:
    return float((~first).mean()), float((~second).mean())


def _rises(name: str, outcomes: Outcomes) -> list[AccuracyRises]:
    """Every pair of positive eps as a rise, with its p-value."""
    pairs = combinations(sorted(epsilon for epsilon in outcomes.epsilons if epsilon > 0), 2)
    return [
        AccuracyRises(name, smaller, larger, *_accuracies(before, after), fewer_errors_p_value(after, before))
        for smaller, larger in pairs
        for before, after in [(outcomes.at(smaller), outcomes.at(larger))]
    ]


def _both(first: Bools, second: Bools) -> tuple[Bools, Bools]:
    """Outcomes on the images that both attacks were shown, the first ones."""
    n = min(len(first), len(second))
    return first[:n], second[:n]


def _clearest(found: list[Tested], level: float) -> Iterator[Tested]:
    """The sign with the smallest p-value, if that is below the level of one comparison."""
    if found:
        clearest = min(found, key=lambda sign: sign.p_value)
        if clearest.p_value < level:
            yield clearest
