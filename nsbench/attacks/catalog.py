"""The attacks beside FGSM, by name, and what each does in words; nothing heavy is imported.

All are bounded in every pixel (L-infinity) and computed by foolbox (Rauber et al. 2020, doi:10.21105/joss.02607).
"""

from nsbench.errors import UserError

ATTACKS = ("pgd", "bim", "deepfool", "noise")
"""pgd: projected gradient descent from a random start, Madry et al. 2018, arXiv:1706.06083. bim: the basic iterative
method, the same from the image itself, Kurakin et al. 2017, arXiv:1607.02533. deepfool: steps to the nearest boundary
of the linearised network, Moosavi-Dezfooli et al. 2016, arXiv:1511.04599, cut off at eps. noise: uniform noise, which
needs no gradient, so that an attack by gradient must beat it."""

RANDOM = ("pgd", "noise")
"""Those that draw random numbers, so that another start may do better."""

ITERATED = ("pgd", "bim")
"""Those that take many steps up the same slope as FGSM takes one, so that they must not do worse."""

_TRAVEL = {"pgd": 2.5, "bim": 1.25}
"""Steps times step size, in units of eps. 2.5: Madry et al., so that any point of the ball can be reached from any
start. 1.25: Kurakin et al."""


def check_attack(name: str) -> None:
    """Raise UserError unless it is the name of an attack."""
    if name not in ATTACKS:
        raise UserError(f"{name!r} is no attack: choose among {', '.join(ATTACKS)}.")


def step_size(name: str, steps: int) -> float:
    """Size of one step of `pgd` or `bim`, in units of eps.

    >>> step_size("pgd", 20)
    0.125
    """
    return _TRAVEL[name] / steps


def describe(name: str, steps: int, restarts: int) -> str:
    """What is done, for a report.

    >>> describe("pgd", 20, 5)
    'PGD, 20 steps of 0.125 eps, 5 random starts'
    >>> describe("noise", 20, 1)
    'uniform noise, 1 draw'

    Raises:
        UserError: the name is unknown.
    """
    check_attack(name)
    if name == "noise":
        return f"uniform noise, {_count(restarts, 'draw')}"
    if name == "deepfool":
        return f"DeepFool, at most {_count(steps, 'step')}, cut off at eps"
    walk = f"{name.upper()}, {_count(steps, 'step')} of {step_size(name, steps):.3g} eps"
    return f"{walk}, {_count(restarts, 'random start')}" if name in RANDOM else f"{walk} from the image itself"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
