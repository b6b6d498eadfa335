"""Signs of gradient masking in a model's stored outcomes, told in sentences."""

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics.masking import (
    AccuracyRises,
    Outcomes,
    Outdone,
    Sign,
    SurvivesAnything,
    ZeroGradients,
    masking_signs,
)
from nsbench.results.attacked import attacks_of, errors_under
from nsbench.results.predicted import Predicted
from nsbench.results.strength import strength_text

NAMES = {"fgsm": "FGSM", "pgd": "PGD", "bim": "BIM", "deepfool": "DeepFool", "noise": "uniform noise"}


def masking_sentences(model: Predicted, config: EvaluationConfig, classes: int) -> list[str]:
    """What distrust an attack's accuracy deserves; empty without FGSM, whose gradients are looked at.

    Attacks are judged on the images that all of them were shown, the first ones.
    """
    attacks = {name: epsilons for name, epsilons in attacks_of(config).items() if name in NAMES}
    if "fgsm" not in attacks:
        return []
    found = {name: model.attacked(name, epsilons) for name, epsilons in attacks.items()}
    n = min(arrays["logits"].shape[1] for arrays in found.values())
    outcomes = {name: Outcomes(attacks[name], errors_under(model, arrays)[:, :n]) for name, arrays in found.items()}
    return [_sentence(sign) for sign in masking_signs(outcomes, found["fgsm"]["zero_gradient"], classes)]


def _sentence(sign: Sign) -> str:
    """One sign in words; accuracies in percent.

    >>> _sentence(ZeroGradients(0.125))
    'The gradient is zero for 12.5 % of the images, which no attack by gradient can move.'
    """
    match sign:
        case ZeroGradients(share):
            return f"The gradient is zero for {_percent(share)} of the images, which no attack by gradient can move."
        case AccuracyRises(attack, smaller, larger, at_smaller, at_larger):
            return (
                f"Under {NAMES[attack]} accuracy rises from {_percent(at_smaller)} at eps {strength_text(smaller)} to "
                f"{_percent(at_larger)} at {strength_text(larger)}, though the larger change includes the smaller."
            )
        case Outdone(attack, by, epsilon, accuracy, accuracy_by):
            return (
                f"At eps {strength_text(epsilon)} {NAMES[attack]} leaves an accuracy of {_percent(accuracy)} and "
                f"{NAMES[by]}, which should be weaker, {_percent(accuracy_by)}."
            )
        case SurvivesAnything(attack, epsilon, accuracy, chance):
            return (
                f"Under {NAMES[attack]} at eps {strength_text(epsilon)}, where every image could be made plain grey, "
                f"accuracy is {_percent(accuracy)}, above the {_percent(chance)} of a guess."
            )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
