"""What is known of each attack, as values; the arithmetic is in `nsbench.attacks`.

All are bounded in every pixel (L-infinity) on pixels in [0, 1], where eps is the bound. Those that are not a sweep of
FGSM are computed by foolbox (Rauber et al. 2020, doi:10.21105/joss.02607).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nsbench.errors import UserError, hint
from nsbench.names import check_name
from nsbench.plugins import load_plugins

if TYPE_CHECKING:
    from torch import Tensor, nn

Perturb = Callable[["nn.Module", "Tensor", "Tensor", "Sequence[float]", int, "Tensor | None"], "Sequence[Tensor]"]
"""(network, pixels float32 (N, 3, H, W) in [0, 1], labels (N,), strengths above 0, steps, numbers) -> pixels at each
strength. Numbers are uniform in [-1, 1], of the pixels' shape, for an attack that is random; None for any other."""


@dataclass(frozen=True)
class Attack:
    """An attack.

    Attributes:
        name: what a user types.
        heading: what a table or figure calls it.
        title: what a sentence calls it.
        account: what is done, for a report; `{steps}`, `{size}`, `{starts}` and `{draws}` are filled in.
        sweep: whether it is one step along one gradient, whose sign serves every eps.
        random: whether it draws random numbers, so that another start may do better.
        travel: steps times step size in units of eps, of an attack that takes many steps up the slope that FGSM takes
            one of; 0 of any other.
        by_gradient: whether a gradient leads it, so that a misleading gradient shows.
        beats: weaker attacks, which it does worse than only if a gradient misleads it; empty where it may for other
            reasons, which also takes away the meaning of what it leaves right.
        perturb: what it does, where neither `nsbench.attacks` nor foolbox knows it.
    """

    name: str
    heading: str
    title: str
    account: str
    sweep: bool = False
    random: bool = False
    travel: float = 0
    by_gradient: bool = True
    beats: tuple[str, ...] = ("noise",)
    perturb: Perturb | None = None

    @property
    def iterated(self) -> bool:
        """Whether it takes many steps up the slope that FGSM takes one of."""
        return self.travel > 0


FGSM = Attack("fgsm", "FGSM", "FGSM", "FGSM", sweep=True)
"""Goodfellow et al. 2015, arXiv:1412.6572."""

PAPER_FGSM = Attack(
    "paper_fgsm",
    heading="FGSM of the published study",
    title="the study's FGSM",
    account="FGSM along the true class's logit",
    sweep=True,
    beats=(),
)
"""The gradient of the study's loss is not the steepest: it may do worse through no fault of the model."""

_ATTACKS = (
    FGSM,
    PAPER_FGSM,
    Attack(  # Madry et al. 2018, arXiv:1706.06083: any point of the ball can be reached from any start
        "pgd",
        heading="PGD",
        title="PGD",
        account="PGD, {steps} of {size} eps, {starts}",
        random=True,
        travel=2.5,
        beats=("fgsm", "noise"),
    ),
    Attack(  # the basic iterative method, Kurakin et al. 2017, arXiv:1607.02533
        "bim",
        heading="BIM",
        title="BIM",
        account="BIM, {steps} of {size} eps from the image itself",
        travel=1.25,
        beats=("fgsm", "noise"),
    ),
    # Moosavi-Dezfooli et al. 2016, arXiv:1511.04599: steps to the nearest boundary of the linearised network, not to
    # the worst point at eps, so FGSM may beat it.
    Attack("deepfool", "DeepFool", "DeepFool", "DeepFool, at most {steps}, cut off at eps"),
    Attack(
        "noise", "Random noise", "uniform noise", "uniform noise, {draws}", random=True, by_gradient=False, beats=()
    ),
)

_REGISTERED = {attack.name: attack for attack in _ATTACKS}


def register_attack(attack: Attack) -> None:
    """Add an attack; adding the same one twice is not a mistake.

    Raises:
        UserError: another one has this name, or it cannot be a name.
    """
    check_name(attack.name, "The attack")
    if _REGISTERED.setdefault(attack.name, attack) != attack:
        raise UserError(f"There is another attack called {attack.name!r}: choose another name.")


def attacks() -> tuple[Attack, ...]:
    """All attacks, the sweeps first."""
    return tuple(_REGISTERED.values())


def attack_names() -> tuple[str, ...]:
    """The names of the stronger attacks, which are those that are not sweeps."""
    return tuple(attack.name for attack in attacks() if not attack.sweep)


def sweep_names() -> tuple[str, ...]:
    """The names of the sweeps of one step."""
    return tuple(attack.name for attack in attacks() if attack.sweep)


def find_attack(name: str) -> Attack:
    """The attack of this name.

    Raises:
        UserError: there is none.
    """
    if name not in _REGISTERED:
        load_plugins()
    if name not in _REGISTERED:
        known = attack_names()
        raise UserError(f"{name!r} is not an attack: choose among {', '.join(known)}.{hint(name, known)}")
    return _REGISTERED[name]


def heading(name: str) -> str:
    """What a table calls an attack: its name where a record has one that is not known here.

    >>> heading("pgd"), heading("of-another-machine")
    ('PGD', 'of-another-machine')
    """
    if name not in _REGISTERED:
        load_plugins()
    return _REGISTERED[name].heading if name in _REGISTERED else name


def step_size(name: str, steps: int) -> float:
    """Size of one step of an iterated attack, in units of eps.

    >>> step_size("pgd", 20)
    0.125
    """
    return find_attack(name).travel / steps


def describe(name: str, steps: int, restarts: int) -> str:
    """What is done, for a report.

    >>> describe("pgd", 20, 5)
    'PGD, 20 steps of 0.125 eps, 5 random starts'
    >>> describe("noise", 20, 1)
    'uniform noise, 1 draw'

    Raises:
        UserError: the name is unknown.
    """
    return find_attack(name).account.format(
        steps=_count(steps, "step"),
        size=f"{step_size(name, steps):.3g}",
        starts=_count(restarts, "random start"),
        draws=_count(restarts, "draw"),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
