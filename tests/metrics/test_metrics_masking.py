"""Signs of gradient masking: in models built to show them, in one built to show none, and in plain numbers."""

from collections.abc import Callable
from dataclasses import astuple
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nsbench.attacks.fgsm import fgsm_sweep
from nsbench.attacks.worst_case import attack
from nsbench.metrics import masking
from nsbench.metrics.masking import AccuracyRises, Outcomes, Outdone, SurvivesAnything, ZeroGradients, masking_signs
from nsbench.networks.inference import to_float

EPSILONS = (0.0, 0.02, 0.05, 0.1, 0.5)
SIZE, CLASSES = 400, 10

Bools = NDArray[np.bool_]


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images uint8 (count, 8, 8, 3) of ten patterns under noise, and their labels."""
    random = torch.Generator().manual_seed(seed)
    patterns = torch.randint(0, 2, (CLASSES, 8, 8, 3), generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, CLASSES, (count,), generator=random)
    noise = torch.randn((count, 8, 8, 3), generator=random)
    return (128 + 26 * (patterns[labels] - 0.5) + 40 * noise).clamp(0, 255).to(torch.uint8), labels


@cache
def honest(seed: int = 0, smoothing: float = 0.0) -> nn.Module:
    """A network that has learnt the patterns and hides nothing."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, CLASSES))
    images, labels = drawn(2000, seed=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3, weight_decay=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        cross_entropy(network(to_float(images)), labels, label_smoothing=smoothing).backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        optimizer.step()
    return network.eval()


class Around(nn.Module):
    """The honest network with something done before and after it."""

    def __init__(self, before: Callable[[Tensor], Tensor], factor: float) -> None:
        super().__init__()
        self.network, self.before, self.factor = honest(), before, factor
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        logits: Tensor = self.network(self.before(images)) * self.factor
        return logits


def measured(
    network: nn.Module, epsilons: tuple[float, ...] = EPSILONS, names: tuple[str, ...] = ("pgd", "noise")
) -> tuple[dict[str, Outcomes], Bools]:
    """Outcomes of every kind of attack, and which images have no gradient."""
    images, labels = drawn(SIZE, seed=2)
    swept, zero = fgsm_sweep(network, images, labels, epsilons)
    found = {"fgsm": swept}
    for name in names:
        indices = torch.arange(SIZE)
        found[name] = attack(name, network, images, labels, epsilons, steps=8, restarts=1, indices=indices, seed=0)
    wrong = {name: (logits.argmax(-1) != labels).numpy() for name, logits in found.items()}
    return {name: Outcomes(epsilons, one) for name, one in wrong.items()}, zero.numpy()


def test_an_honest_model_shows_no_sign() -> None:
    attacks, zero = measured(honest())
    accuracy = 1 - attacks["fgsm"].wrong.mean(1)
    assert accuracy[0] > 0.8
    assert accuracy[2] < 0.3
    assert masking_signs(attacks, zero, CLASSES) == ()


@pytest.mark.slow
def test_ordinary_networks_are_flagged_in_at_most_one_of_a_hundred_draws_of_images() -> None:
    """Six networks, with and without label smoothing; draws of three sizes; PGD and BIM on half of the images."""
    random, flagged, draws = np.random.default_rng(0), 0, 0
    for seed, smoothing in [(0, 0.0), (1, 0.1), (2, 0.0), (3, 0.1), (4, 0.3), (5, 0.0)]:
        epsilons = (0.0, 2 / 255, 0.02, 8 / 255, 0.06, 0.1, 0.5)
        attacks, zero = measured(honest(seed, smoothing), epsilons, ("pgd", "bim", "noise"))
        for size in (60, 150, 300):
            for _ in range(60):
                images = np.sort(random.choice(SIZE, size, replace=False))
                shown = {name: images[: size // 2] if name in ("pgd", "bim") else images for name in attacks}
                part = {name: Outcomes(epsilons, one.wrong[:, shown[name]]) for name, one in attacks.items()}
                flagged += bool(masking_signs(part, zero[images], CLASSES))
                draws += 1
    print(f"{flagged} of {draws} draws flagged")  # noqa: T201  # the rate found
    assert flagged <= draws / 100


def test_a_saturated_model_is_found_out() -> None:
    attacks, zero = measured(Around(nn.Identity(), 1e4))
    signs = masking_signs(attacks, zero, CLASSES)
    assert ZeroGradients(float(zero.mean())) in signs
    assert zero.mean() > 0.5
    survivors = {sign.attack: sign for sign in signs if isinstance(sign, SurvivesAnything)}
    assert survivors["fgsm"].epsilon == 0.5
    assert survivors["fgsm"].accuracy == 1 - attacks["fgsm"].wrong[-1].mean()


def test_a_model_that_quantises_its_input_is_found_out() -> None:
    attacks, zero = measured(Around(lambda pixels: (pixels * 8).round() / 8, 1.0))
    signs = masking_signs(attacks, zero, CLASSES)
    assert ZeroGradients(1.0) in signs
    assert {(sign.attack, sign.by) for sign in signs if isinstance(sign, Outdone)} >= {("fgsm", "noise")}
    assert {sign.attack for sign in signs if isinstance(sign, SurvivesAnything)} >= {"fgsm"}


def split(n: int, *counts: int) -> list[Bools]:
    """Outcomes (n,) with the first `counts` of them wrong."""
    return [np.arange(n) < count for count in counts]


def test_accuracy_that_rises_is_reported_with_the_clearest_pair() -> None:
    outcomes = Outcomes((0.3, 0.0, 0.1, 0.2), np.stack(split(100, 60, 5, 80, 20)))
    (sign,) = masking.accuracy_rises("fgsm", outcomes)
    expected = binomtest(60, 60, 0.5, alternative="greater").pvalue
    assert astuple(sign)[:-1] == ("fgsm", 0.1, 0.2, pytest.approx(0.2), pytest.approx(0.8))
    assert sign.p_value == pytest.approx(expected, rel=1e-9)


def test_a_rise_that_noise_explains_is_no_sign_and_one_image_more_may_be() -> None:
    def signs(rise: int) -> list[AccuracyRises]:
        wrong = np.stack(split(1000, 500, 500 - rise))
        return list(masking.accuracy_rises("pgd", Outcomes((0.1, 0.2), wrong)))

    assert 0.5**6 > masking.LEVEL > 0.5**7
    assert signs(6) == []
    assert len(signs(7)) == 1


def test_the_more_eps_are_compared_the_clearer_a_rise_must_be() -> None:
    wrong = np.stack(split(1000, 500, 493, 493, 493))
    assert list(masking.accuracy_rises("pgd", Outcomes((0.1, 0.2), wrong[:2])))
    assert not list(masking.accuracy_rises("pgd", Outcomes((0.1, 0.2, 0.3, 0.4), wrong)))


def test_chance_alone_gives_a_sign_no_more_often_than_stated() -> None:
    random = np.random.default_rng(0)
    found = sum(
        bool(list(masking.accuracy_rises("fgsm", Outcomes((0.1, 0.2, 0.3), random.random((3, 200)) < 0.4))))
        for _ in range(1000)
    )
    assert found <= 10 + 3 * np.sqrt(10)  # LEVEL of a thousand, and three standard deviations


def test_pgd_that_fgsm_outdoes_is_reported_at_the_clearest_eps() -> None:
    fgsm = Outcomes((0.1, 0.2, 0.3), np.stack(split(100, 50, 60, 70)))
    pgd = Outcomes((0.3, 0.2, 0.4), np.stack(split(100, 65, 40, 10)))
    signs = masking_signs({"fgsm": fgsm, "pgd": pgd}, np.zeros(100, bool), 10)
    (sign,) = (sign for sign in signs if isinstance(sign, Outdone))
    assert astuple(sign)[:-1] == ("pgd", "fgsm", 0.2, 0.6, 0.4)
    assert sign.p_value == pytest.approx(0.5**20, rel=1e-9)


def test_deepfool_may_fall_behind_fgsm_but_not_behind_noise() -> None:
    strong, weak = (Outcomes((0.1,), np.stack(split(100, count))) for count in (90, 30))
    assert masking_signs({"fgsm": strong, "deepfool": weak}, np.zeros(100, bool), 10) == ()
    (sign,) = masking_signs({"noise": strong, "deepfool": weak}, np.zeros(100, bool), 10)
    assert isinstance(sign, Outdone)
    assert (sign.attack, sign.by) == ("deepfool", "noise")


def test_survival_is_judged_only_where_any_image_can_be_made_grey_and_never_for_noise() -> None:
    survives = np.stack(split(1000, 0, 860))
    assert not list(masking.survives_anything("pgd", Outcomes((0.0, 0.4), survives), 10))
    (sign,) = masking.survives_anything("pgd", Outcomes((0.0, 0.5), survives), 10)
    expected = binomtest(140, 1000, 0.1, alternative="greater").pvalue
    assert astuple(sign)[:-1] == ("pgd", 0.5, 0.14, 0.1)
    assert sign.p_value == pytest.approx(expected, rel=1e-9)
    assert masking_signs({"noise": Outcomes((0.0, 0.5), survives)}, np.zeros(1000, bool), 10) == ()


@pytest.mark.parametrize(("right", "stated"), [(0, 0), (100, 0), (115, 0), (130, 1)])
def test_survival_is_reported_only_beyond_what_guessing_gives(right: int, stated: int) -> None:
    outcomes = Outcomes((0.5,), np.stack(split(1000, 1000 - right)))
    assert len(list(masking.survives_anything("pgd", outcomes, 10))) == stated


def test_zero_gradients_are_a_sign_from_the_stated_share_on() -> None:
    assert not list(masking.zero_gradients(np.arange(100) < 4))
    assert list(masking.zero_gradients(np.arange(100) < 5)) == [ZeroGradients(0.05)]


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (3, 0), (0, 3), (17, 9), (9, 17)])
def test_the_p_value_is_that_of_a_fair_coin(better: int, worse: int) -> None:
    more = np.array([True] * better + [False] * worse + [True, False] * 5)
    fewer = np.array([False] * better + [True] * worse + [True, False] * 5)
    expected = binomtest(better, better + worse, 0.5, alternative="greater").pvalue if better + worse else 1.0
    assert masking.fewer_errors_p_value(fewer, more) == pytest.approx(expected)


def rising(n: int = 400) -> Outcomes:
    """FGSM that leaves 2 % right at 0.06 and 10 % at 0.1."""
    return Outcomes((0.0, 0.06, 0.1), np.stack([np.arange(n) < n * share // 100 for share in (8, 98, 90)]))


def flagged(attacks: dict[str, Outcomes], n: int = 400) -> tuple[set[str], set[str]]:
    """Attacks whose rise is a sign, and those whose rise is a footnote."""
    signs = masking_signs(attacks, np.zeros(n, bool), CLASSES)
    footnotes = masking.overshoots(attacks, signs)
    return {one.attack for one in signs if isinstance(one, AccuracyRises)}, {one.attack for one in footnotes}


@pytest.mark.parametrize("name", ["fgsm", "paper_fgsm"])
def test_one_step_that_overshoots_is_a_footnote_where_pgd_leaves_nothing_or_was_not_tried(name: str) -> None:
    ruin = Outcomes((0.06, 0.1), np.ones((2, 400), bool))
    assert flagged({name: rising(), "pgd": ruin}) == (set(), {name})
    assert flagged({name: rising()}) == (set(), {name})


@pytest.mark.parametrize("images", [400, 150])
def test_a_rise_that_an_iterated_attack_confirms_is_a_sign_and_no_footnote(images: int) -> None:
    """At the larger eps it leaves more right than one step at the smaller, on the images that both were shown."""
    blind = Outcomes((0.1,), np.stack(split(images, images * 80 // 100)))
    assert flagged({"fgsm": rising(), "pgd": blind}) == ({"fgsm"}, set())
    itself = Outcomes((0.02, 0.04), np.stack(split(images, images, images // 2)))
    assert flagged({"fgsm": rising(), "bim": itself}) == ({"fgsm", "bim"}, set())


def test_pgd_on_fewer_images_moves_no_sign_that_is_not_about_it() -> None:
    random = np.random.default_rng(0)
    noise = Outcomes((0.06,), random.random((1, 400)) < 0.99)
    deepfool = Outcomes((0.06, 0.1), np.stack(split(400, 300, 280)))
    found = []
    for images in (400, 60, 5):
        attacks = {"fgsm": rising(), "noise": noise, "deepfool": deepfool}
        attacks["pgd"] = Outcomes((0.06,), np.ones((1, images), bool))
        signs = masking_signs(attacks, np.zeros(400, bool), CLASSES)
        found.append([one for one in signs if getattr(one, "attack", "") != "pgd"])
    assert len(found[0]) == 2
    assert found[0] == found[1] == found[2]


def test_two_attacks_are_compared_on_the_images_that_both_were_shown() -> None:
    fgsm, pgd = (Outcomes((0.1,), np.stack(split(n, count))) for n, count in ((400, 90), (100, 30)))
    (sign,) = masking_signs({"fgsm": fgsm, "pgd": pgd}, np.zeros(400, bool), 10)
    assert isinstance(sign, Outdone)
    assert (sign.accuracy, sign.accuracy_by) == (0.7, 0.1)


@pytest.mark.parametrize("epsilons", [(0.1,), (0.1, 0.1), (0.1, 0.2, 0.3)])
def test_each_row_of_outcomes_has_an_eps_of_its_own(epsilons: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="different eps"):
        Outcomes(epsilons, np.zeros((2, 5), bool))
