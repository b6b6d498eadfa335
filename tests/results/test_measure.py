"""Stored predictions become numbers: each against a slow loop, each refused where a piece is missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from nsbench.config.evaluation import EvaluationConfig
from nsbench.errors import UserError
from nsbench.metrics import classification
from nsbench.metrics.proportions import share_interval
from nsbench.metrics.temperature import fit_temperature
from nsbench.predictions.kinds import Arrays
from nsbench.predictions.store import Stored, save_labels
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P
from nsbench.results.measure.corrupted import CorruptionErrors, corruption_numbers
from nsbench.results.measure.everything import Measurer, measurement
from nsbench.results.measure.numbers import Number, Resampler, Sampled
from tests.results.small import CLASSES, CONFIG, FEWER, HELD_OUT, N, cells_of, labels, write_model

Numbers = dict[tuple[str, str], Number]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_model(folder, "base", skill=1.5, seed=1)
    write_model(folder, "own", skill=2.5, seed=2)
    return folder


def measured(
    run: Path, model: str = "own", baseline: str | None = "base", config: EvaluationConfig = CONFIG
) -> Numbers:
    measurer = Measurer(run, config, Resampler(config.bootstrap_resamples, 0), baseline, "made-up", CLASSES)
    return {(one.key.benchmark, one.key.metric): one for one in measurer.numbers(measurer.predicted(model))}


@pytest.fixture(scope="module")
def numbers(run: Path) -> Numbers:
    return measured(run)


@pytest.fixture(scope="module")
def cells() -> dict[str, Arrays]:
    return cells_of(CONFIG, 2.5, 2)


def drawn(n: int, resample: int) -> np.ndarray:
    """The images of one resample, each as often as it was drawn."""
    return np.repeat(np.arange(n), Resampler(200, 0).weights(n)[resample].astype(int))


@pytest.mark.parametrize("resample", [None, 0, 77])
def test_every_clean_and_scaled_number_equals_the_metric_on_the_drawn_images(
    numbers: Numbers, cells: dict[str, Arrays], resample: int | None
) -> None:
    rows = np.arange(N) if resample is None else drawn(N, resample)
    test, held_out = labels()
    temperature = fit_temperature(cells["held-out"]["logits"], held_out)
    for benchmark, scale in (("clean", 1.0), ("scaled", temperature)):
        logits = cells["clean"]["logits"][rows] / scale
        for metric in ("top1_error", "top5_error", "negative_log_likelihood", "brier_score"):
            found = numbers[benchmark, metric]
            value = found.value if resample is None else found.samples[resample]
            assert value == pytest.approx(getattr(classification, metric)(logits, test[rows]), rel=1e-5)
            assert found.n == N


@pytest.mark.parametrize("resample", [None, 5])
def test_corrupted_numbers_equal_slow_loops_on_the_drawn_images(
    numbers: Numbers, cells: dict[str, Arrays], resample: int | None
) -> None:
    rows = np.arange(FEWER) if resample is None else drawn(FEWER, resample)
    truth, base = labels()[0][rows], cells_of(CONFIG, 1.5, 1)

    def error(found: dict[str, Arrays], name: str, severity: int) -> float:
        return float(np.mean(found[f"corruption/{name}-{severity}"]["predicted"][rows] != truth))

    def clean(found: dict[str, Arrays]) -> float:
        return float(np.mean(found["clean"]["logits"][rows].argmax(1) != truth))

    def relative(name: str, own: float, theirs: float) -> float:
        """The ratio; on a resample the tangent of the ratio at what was measured on all images."""
        if resample is None:
            return own / theirs
        truth = labels()[0][:FEWER]
        whole = []
        for found in (cells, base):
            still = np.mean(found["clean"]["logits"][:FEWER].argmax(1) != truth)
            hit = [found[f"corruption/{name}-{severity}"]["predicted"] != truth for severity in range(1, 6)]
            whole.append(sum(float(np.mean(one) - still) for one in hit))
        return whole[0] / whole[1] + own / whole[1] - whole[0] * theirs / whole[1] ** 2

    def value(benchmark: str, metric: str) -> float:
        one = numbers[benchmark, metric]
        return float(one.value if resample is None else one.samples[resample])

    ratios, rises, means, ups = [], [], [], []
    for name in ("gaussian_noise", "contrast"):
        own = [error(cells, name, severity) for severity in range(1, 6)]
        theirs = [error(base, name, severity) for severity in range(1, 6)]
        means.append(sum(own) / 5)
        ratios.append(sum(own) / sum(theirs))
        ups.append([sum(one - clean(cells) for one in own), sum(one - clean(base) for one in theirs)])
        rises.append(relative(name, *ups[-1]))
        assert value(f"corruption/{name}/3", "top1_error") == pytest.approx(own[2])
        assert value(f"corruption/{name}", "mean_error") == pytest.approx(means[-1])
        assert value(f"corruption/{name}", "corruption_error") == pytest.approx(ratios[-1])
        assert value(f"corruption/{name}", "relative_corruption_error") == pytest.approx(rises[-1])
    assert value("corruption", "mean_error") == pytest.approx(np.mean(means))
    assert value("corruption", "mean_corruption_error") == pytest.approx(np.mean(ratios))
    assert value("corruption", "relative_mean_corruption_error") == pytest.approx(np.mean(rises))
    if resample is None:
        assert value("corruption", "pooled_relative_corruption_error") == pytest.approx(np.divide(*np.sum(ups, axis=0)))


def test_a_subset_has_the_clean_error_of_its_own_images(numbers: Numbers, cells: dict[str, Arrays]) -> None:
    wrong = (cells["clean"]["logits"].argmax(1) != labels()[0])[:FEWER]
    for kind in ("corruption", "perturbation"):
        assert (numbers[kind, "clean_error"].n, numbers[kind, "clean_error"].value) == (FEWER, wrong.mean())


def test_calibration_of_a_corrupted_cell_is_that_of_its_confidences(numbers: Numbers, cells: dict[str, Arrays]) -> None:
    arrays, truth = cells["corruption/contrast-4"], labels()[0][:FEWER]
    right, total = arrays["predicted"] == truth, 0.0
    for low in range(15):
        inside = (arrays["confidence"] > low / 15) & (arrays["confidence"] <= (low + 1) / 15)
        total += abs(np.sum(right[inside]) - np.sum(arrays["confidence"][inside])) / FEWER
    assert numbers["corruption/contrast/4", "expected_calibration_error"].value == pytest.approx(total, rel=1e-5)
    each = [numbers[f"corruption/contrast/{s}", "expected_calibration_error"].value for s in range(1, 6)]
    assert numbers["corruption/contrast", "mean_expected_calibration_error"].value == pytest.approx(np.mean(each))


def test_under_attack_an_image_that_was_wrong_stays_wrong(numbers: Numbers, cells: dict[str, Arrays]) -> None:
    truth, clean = labels()[0], cells["clean"]["logits"].argmax(1)
    for name, n, row in (("fgsm", FEWER, 1), ("pgd", 150, 0)):
        attacked = cells[name]["logits"][row].argmax(1)
        wrong = [c != t or a != t for c, a, t in zip(clean[:n], attacked, truth[:n], strict=True)]
        assert numbers[f"{name}/0.0313725", "top1_error"].value == pytest.approx(np.mean(wrong))
        assert np.mean(wrong) > np.mean(attacked != truth[:n]), "else the clean error makes no difference"
    assert numbers["fgsm", "zero_gradients"].value == pytest.approx(4 / FEWER)


def test_flips_and_their_rates_equal_slow_loops(numbers: Numbers, cells: dict[str, Arrays]) -> None:
    base = cells_of(CONFIG, 1.5, 1)

    def flips(found: dict[str, Arrays], name: str, *, first: bool) -> float:
        frames = found[f"perturbation/{name}"]["predicted"]
        pairs = [(row[j], row[0] if first else row[j - 1]) for row in frames for j in range(1, len(row))]
        return float(np.mean([a != b for a, b in pairs]))

    translate, noise = flips(cells, "translate", first=False), flips(cells, "gaussian_noise", first=True)
    rates = [translate / flips(base, "translate", first=False), noise / flips(base, "gaussian_noise", first=True)]
    assert numbers["perturbation/translate", "flip_probability"].value == pytest.approx(translate)
    assert numbers["perturbation/gaussian_noise", "flip_probability"].value == pytest.approx(noise)
    paper = numbers["perturbation/translate", "paper_flip_probability"].value
    assert paper == pytest.approx(flips(cells, "translate", first=True))
    assert numbers["perturbation", "mean_flip_probability"].value == pytest.approx((translate + noise) / 2)
    assert numbers["perturbation", "mean_flip_rate"].value == pytest.approx(np.mean(rates))


def test_a_share_has_its_exact_interval_and_a_mean_of_nothing_the_bound_of_none_of_its_images(
    run: Path, tmp_path: Path, cells: dict[str, Arrays]
) -> None:
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    truth = labels()[0][:FEWER]
    for name in ("contrast", "gaussian_noise"):
        for severity in range(1, 6):
            cell = f"corruption/{name}-{severity}"
            right = cells[cell] | {"predicted": truth.astype(np.uint8)}
            Stored(tmp_path, "own").save(cell, right, "made-up", f"{cell} v1")
    still = np.zeros_like(cells["perturbation/translate"]["predicted"])
    Stored(tmp_path, "own").save("perturbation/translate", {"predicted": still}, "made-up", "perturbation/translate v1")
    found = measured(tmp_path)
    none = share_interval(0, FEWER)
    for key in [
        ("corruption/contrast/3", "top1_error"),
        ("corruption/contrast", "mean_error"),
        ("corruption", "mean_error"),
        ("perturbation/translate", "flip_probability"),
        ("perturbation/translate", "paper_flip_probability"),
    ]:
        one = measurement(found[key], "own", "base")
        assert (one.value, one.ci_low, one.ci_high) == (0, *none), key
    shares = {"top1_error", "top5_error", "zero_gradients"}
    for (_, metric), number in found.items():
        if metric in shares:
            assert number.interval == share_interval(round(number.value * number.n), number.n)


def test_the_temperature_has_the_interval_of_refits_to_resampled_held_out_images(
    numbers: Numbers, cells: dict[str, Arrays]
) -> None:
    found, logits, truth = numbers["scaled", "temperature"], cells["held-out"]["logits"], labels()[1]
    assert (found.value, found.n) == (fit_temperature(logits, truth), HELD_OUT)
    refits = [fit_temperature(logits[rows], truth[rows]) for rows in (drawn(HELD_OUT, b) for b in range(200))]
    assert np.quantile(found.samples, [0.025, 0.975]) == pytest.approx(np.quantile(refits, [0.025, 0.975]), rel=0.04)
    assert np.corrcoef(found.samples, refits)[0, 1] > 0.99


def test_without_a_baseline_nothing_is_relative(run: Path, numbers: Numbers) -> None:
    alone = measured(run, baseline=None)
    assert set(numbers) - set(alone) == {key for key, one in numbers.items() if one.relative}
    assert ("perturbation", "mean_flip_probability") in alone
    assert not {metric for _, metric in alone} & {"corruption_error", "flip_rate", "mean_corruption_error"}


def test_the_baseline_against_itself_is_one_on_every_resample(run: Path) -> None:
    found = measured(run, "base")
    for key in (("corruption", "mean_corruption_error"), ("perturbation", "mean_flip_rate")):
        assert found[key].value == 1
        assert (found[key].samples == 1).all()


def test_paper_means_need_all_nineteen_and_all_twenty(numbers: Numbers, tmp_path: Path) -> None:
    def means(found: Numbers) -> set[str]:
        return {metric for benchmark, metric in found if "/" not in benchmark and metric[:5] in ("paper", "image")}

    assert means(numbers) == {"paper_calibration_error"}
    complete = CONFIG.model_copy(
        update={
            "corruptions": CIFAR10_C.names,
            "perturbations": CIFAR10_P.names,
            "bootstrap_resamples": 100,
        }
    )
    write_model(tmp_path, "own", config=complete)
    found = measured(tmp_path, baseline="own", config=complete)
    assert means(found) == {
        "paper_calibration_error",
        "paper_mean_error",
        "paper_mean_corruption_error",
        "paper_relative_mean_corruption_error",
        "paper_mean_flip_probability",
        "paper_mean_flip_rate",
        "imagenet_mean_flip_probability",
        "imagenet_mean_flip_rate",
    }
    each = [found[f"corruption/{name}", "mean_error"].value for name in complete.corruptions]
    assert found["corruption", "paper_mean_error"].value == pytest.approx(np.mean(each))
    assert found["corruption", "mean_error"].value == pytest.approx(np.mean(each[:15]))
    swapped = [name for name in CIFAR10_P.counted if name != "spatter"] + ["snow"]
    flips = [found[f"perturbation/{name}", "flip_probability"].value for name in swapped]
    assert found["perturbation", "imagenet_mean_flip_probability"].value == pytest.approx(np.mean(flips))


def test_calibration_that_was_not_asked_for_is_not_measured(run: Path) -> None:
    found = measured(run, config=CONFIG.model_copy(update={"calibration": False}))
    assert not [key for key in found if "calibration" in key[1] or key[0] == "scaled"]
    assert ("clean", "brier_score") in found


def test_only_shares_of_misclassified_images_bring_their_errors(numbers: Numbers) -> None:
    for (_, metric), one in numbers.items():
        assert (one.wrong is not None) == (metric in ("top1_error", "clean_error"))
        if one.wrong is not None:
            assert one.wrong.mean() == pytest.approx(one.value)


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        ("clean", "clean"),
        ("held-out", "held-out"),
        ("pgd", "pgd"),
        ("corruption/contrast-3", "corruption/contrast-3"),
        ("perturbation/translate", "perturbation/translate"),
    ],
)
def test_missing_predictions_are_refused_by_name(run: Path, tmp_path: Path, cell: str, named: str) -> None:
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    Stored(tmp_path, "own").path(cell).unlink()
    with pytest.raises(UserError, match=f"own has no predictions for {named}, .* run the same `nsbench evaluate`"):
        measured(tmp_path)


def replaced(run: Path, tmp_path: Path, cell: str, arrays: Arrays, images: str = "v1") -> None:
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    Stored(tmp_path, "own").save(cell, arrays, "made-up", images)


def test_a_cell_of_fewer_images_is_refused_by_name(run: Path, tmp_path: Path, cells: dict[str, Arrays]) -> None:
    fewer = {key: array[:50] for key, array in cells["corruption/contrast-3"].items()}
    replaced(run, tmp_path, "corruption/contrast-3", fewer)
    with pytest.raises(UserError, match=r"corruption/contrast-3 .*uint8 \(50\) instead of uint8 \(200\)"):
        measured(tmp_path)


def test_sequences_of_fewer_frames_are_refused_by_name(run: Path, tmp_path: Path, cells: dict[str, Arrays]) -> None:
    short = {"predicted": cells["perturbation/translate"]["predicted"][:, :9]}
    replaced(run, tmp_path, "perturbation/translate", short)
    with pytest.raises(UserError, match=r"perturbation/translate .*uint8 \(200, 9\) instead of uint8 \(200, 16\)"):
        measured(tmp_path)


def test_an_attack_at_fewer_strengths_is_refused_by_name(run: Path, tmp_path: Path, cells: dict[str, Arrays]) -> None:
    replaced(run, tmp_path, "fgsm", cells["fgsm"] | {"logits": cells["fgsm"]["logits"][:1]})
    with pytest.raises(UserError, match=r"fgsm .*float32 \(1, 200, 10\) instead of float32 \(2, 200, 10\)"):
        measured(tmp_path)


def test_clean_predictions_of_fewer_images_are_refused(run: Path, tmp_path: Path, cells: dict[str, Arrays]) -> None:
    replaced(run, tmp_path, "clean", {"logits": cells["clean"]["logits"][:7]})
    with pytest.raises(UserError, match=r"clean .*float32 \(7, 10\) instead of float32 \(300, 10\)"):
        measured(tmp_path)


def test_predictions_that_do_not_say_of_which_images_are_refused(
    run: Path, tmp_path: Path, cells: dict[str, Arrays]
) -> None:
    replaced(run, tmp_path, "clean", cells["clean"], images="")
    with pytest.raises(UserError, match="clean do not say which images they are of"):
        measured(tmp_path)


def doctored(run: Path, tmp_path: Path, wrong: int, only: str = "contrast") -> Numbers:
    """What is measured where the baseline errs on the first images alone, clean and under a corruption."""
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    truth, of_base = labels()[0], cells_of(CONFIG, 1.5, 1)
    for severity in range(1, 6):
        cell = f"corruption/{only}-{severity}"
        predicted = np.where(np.arange(FEWER) < wrong, (truth[:FEWER] + 1) % CLASSES, truth[:FEWER]).astype(np.uint8)
        Stored(tmp_path, "base").save(cell, of_base[cell] | {"predicted": predicted}, "made-up", f"{cell} v1")
    return measured(tmp_path)


def test_a_ratio_to_a_rise_that_may_be_zero_has_no_value_and_its_means_name_it(run: Path, tmp_path: Path) -> None:
    found = doctored(run, tmp_path, wrong=0)
    for key, named in [
        (("corruption/contrast", "relative_corruption_error"), "does not clearly rise here"),
        (("corruption", "relative_mean_corruption_error"), "does not clearly rise on contrast:"),
    ]:
        relative = measurement(found[key], "own", "base")
        assert (relative.value, relative.ci_low, relative.ci_high) == (None, None, None)
        assert named in str(relative.note)
        assert "has no interval" not in str(relative.note), "one reason is enough"
    kept = measurement(found["corruption/gaussian_noise", "relative_corruption_error"], "own", "base")
    assert kept.value is not None


def test_a_ratio_to_a_rise_that_is_clear_but_small_carries_a_caution(run: Path) -> None:
    measurer = Measurer(run, CONFIG, Resampler(200, 0), "base", "made-up", CLASSES)
    errors = measurer._base_errors
    assert errors is not None
    clean = np.full(200, 0.1)
    cells = np.full((200, 3, 5), 0.105) + np.random.default_rng(0).normal(0, 1e-4, (200, 3, 5))
    small = CorruptionErrors(Sampled(np.full((3, 5), 0.105), cells), Sampled(np.asarray(0.1), clean))
    own = measurer.predicted("own")
    found = {
        (one.key.benchmark, one.key.metric): one
        for one in corruption_numbers(own, small, CONFIG, measurer.resampler, "made-up-c")
    }
    assert "hardly rises here" in str(found["corruption/contrast", "relative_corruption_error"].note)
    assert "on gaussian_noise, contrast" in str(found["corruption", "relative_mean_corruption_error"].note)
    assert np.isfinite(found["corruption", "pooled_relative_corruption_error"].interval).all()


def test_a_ratio_to_nothing_says_why(run: Path, tmp_path: Path) -> None:
    ratio = measurement(doctored(run, tmp_path, wrong=0)["corruption/contrast", "corruption_error"], "own", "base")
    assert (ratio.value, ratio.ci_low) == (None, None)
    assert "denominator is zero" in str(ratio.note)


def test_a_ratio_whose_denominator_is_zero_on_some_resamples_keeps_value_and_interval(
    run: Path, tmp_path: Path
) -> None:
    found = doctored(run, tmp_path, wrong=5)
    assert not Resampler(200, 0).weights(FEWER)[:, :5].any(axis=1).all(), "else no denominator is zero"
    for key in (("corruption/contrast", "corruption_error"), ("corruption", "mean_corruption_error")):
        ratio = measurement(found[key], "own", "base")
        assert None not in (ratio.value, ratio.ci_low, ratio.ci_high)
        assert ratio.ci_low < ratio.value < ratio.ci_high  # type: ignore[operator]  # none of them is None
        assert np.isfinite(found[key].samples).all(), "so that models are compared"


def test_the_baseline_against_itself_is_one_also_where_it_makes_no_error(run: Path, tmp_path: Path) -> None:
    doctored(run, tmp_path, wrong=0)
    found = measured(tmp_path, "base")
    ratios = [measurement(one, "base", "base") for one in found.values() if one.relative]
    assert len(ratios) > 10
    assert {(one.value, one.ci_low, one.ci_high, one.note) for one in ratios} == {(1, 1, 1, None)}


def test_a_temperature_without_optimum_has_no_interval_and_says_why(tmp_path: Path) -> None:
    write_model(tmp_path, "own", config=CONFIG.model_copy(update={"corruptions": (), "perturbations": ()}))
    test, held_out = labels()
    sure = np.eye(CLASSES, dtype=np.float32)[held_out]
    save_labels(tmp_path, test, held_out)
    Stored(tmp_path, "own").save("held-out", {"logits": sure}, "made-up", "held-out")
    config = CONFIG.model_copy(update={"corruptions": (), "perturbations": ()})
    found = measurement(measured(tmp_path, baseline=None, config=config)["scaled", "temperature"], "own", None)
    assert found.value == 0.01
    assert found.ci_low is None
    assert "no temperature is best" in str(found.note)
