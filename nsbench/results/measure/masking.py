"""Signs of gradient masking in a model's stored outcomes, as sentences."""

from dataclasses import dataclass

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics.masking import (
    AccuracyRises,
    Outcomes,
    Outdone,
    Sign,
    SurvivesAnything,
    ZeroGradients,
    masking_signs,
    overshoots,
)
from nsbench.protocols.attacks import find_attack
from nsbench.results.key import strength_text
from nsbench.results.measure.attacked import attacks_of, errors_under
from nsbench.results.measure.predicted import Predicted


@dataclass(frozen=True)
class Masking:
    """What an attack's accuracy hides, a sentence each.

    Attributes:
        signs: signs of gradient masking; reasons to distrust the accuracies.
        overshoot: attacks of one step that do less at a larger eps, which is none.
    """

    signs: list[str]
    overshoot: list[str]


def masking_sentences(model: Predicted, config: EvaluationConfig, classes: int) -> Masking:
    """What is to be said of a model's accuracy under attack; nothing without FGSM, whose gradients are looked at."""
    if "fgsm" not in attacks_of(config):
        return Masking([], [])
    outcomes = outcomes_of(model, config)
    signs = masking_signs(outcomes, model.load("fgsm")["zero_gradient"], classes)
    return Masking([_sentence(sign) for sign in signs], [_footnote(rise) for rise in overshoots(outcomes, signs)])


def outcomes_of(model: Predicted, config: EvaluationConfig) -> dict[str, Outcomes]:
    """What every attack did, by name, each on as many of the first images as it was shown."""
    return {
        name: Outcomes(epsilons, errors_under(model, model.load(name))) for name, epsilons in attacks_of(config).items()
    }


def _footnote(rise: AccuracyRises) -> str:
    """A rise that no attack of many steps confirms.

    >>> _footnote(AccuracyRises("fgsm", 0.06, 0.1, 0.02, 0.05, 1e-9))  # doctest: +ELLIPSIS
    'One step overshoots: under FGSM accuracy rises from 2.0 % at eps 0.06 to 5.0 % at 0.1, which no attack of many ...'
    """
    return (
        f"One step overshoots: under {_rise(rise)}, which no attack of many steps confirms, so it is no sign of "
        "gradient masking."
    )


def _rise(found: AccuracyRises) -> str:
    return (
        f"{_name(found.attack)} accuracy rises from {_percent(found.at_smaller)} at eps {strength_text(found.smaller)} "
        f"to {_percent(found.at_larger)} at {strength_text(found.larger)}"
    )


def _sentence(sign: Sign) -> str:
    """One sign in words; accuracies in percent.

    >>> _sentence(ZeroGradients(0.125))
    'The gradient is zero for 12.5 % of the images, which no attack by gradient can move.'
    """
    match sign:
        case ZeroGradients(share):
            return f"The gradient is zero for {_percent(share)} of the images, which no attack by gradient can move."
        case AccuracyRises():
            return f"Under {_rise(sign)}, though the larger change includes the smaller."
        case Outdone(attack, by, epsilon, accuracy, accuracy_by):
            return (
                f"At eps {strength_text(epsilon)} {_name(attack)} leaves an accuracy of {_percent(accuracy)} and "
                f"{_name(by)}, which should be weaker, {_percent(accuracy_by)}."
            )
        case SurvivesAnything(attack, epsilon, accuracy, chance):
            return (
                f"Under {_name(attack)} at eps {strength_text(epsilon)}, where every image could be made plain grey, "
                f"accuracy is {_percent(accuracy)}, above the {_percent(chance)} of a guess."
            )


def _name(attack: str) -> str:
    return find_attack(attack).title


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
