"""What the numbers of a report can and cannot say."""

from nsbench.report.cells import number_text
from nsbench.report.lookup import Lookup
from nsbench.report.stamp import TEST_SELECTED, spelled_out
from nsbench.report.trained import weights_kept, who
from nsbench.report.wording import numeral, plural
from nsbench.results.record import BenchmarkSet

Topic = tuple[str, str]

CALIBRATION = (
    "Calibration.",
    "Expected calibration error has a noise floor even for a perfectly calibrated model: about 0.3 points at 10,000 "
    "images and 0.6 at 2,000, higher for fewer. Negative log-likelihood and the Brier score have no bins and stand "
    "beside it.",
)
FGSM = (
    "FGSM.",
    "One gradient step is a weak attack. Label smoothing, mixup and saturated outputs can hide the gradient "
    "(gradient masking) and look strong here while a stronger attack succeeds on every image. Accuracy under FGSM is "
    "not robustness.",
)
FLIPS = (
    "Flips.",
    "A flip is a change of prediction, right or wrong; no label is used. A model that always answers the same has "
    "zero flips, so flip probability is printed beside accuracy.",
)


def limits(lookup: Lookup) -> list[Topic]:
    """Cautions that fit what was measured, as pairs of a topic and its explanation."""
    topics = [sampling(lookup), seeds(lookup), weights(lookup)]
    classes = len(lookup.results.data.classes)
    if classes <= 20:
        topics.append(
            (
                "Top-5.",
                f"On {classes} classes top-5 accuracy is close to its ceiling. It is shown and never used to rank.",
            )
        )
    topics.append(CALIBRATION)
    if lookup.epsilons():
        topics.append(FGSM)
    corruption = lookup.benchmark("corruption")
    if corruption is not None:
        topics += corruptions(corruption)
    if lookup.benchmark("perturbation") is not None:
        topics.append(FLIPS)
    return topics


def sampling(lookup: Lookup) -> Topic:
    """How far chance in the choice of test images reaches."""
    n = lookup.results.data.test
    margin = number_text(196 * (0.25 / max(n, 1)) ** 0.5, 1)
    return (
        "Sampling error.",
        f"With {plural(n, 'test image')} an accuracy is known to within ±{margin} points at worst (95 %). Checkpoints "
        "are compared on the same images, so read the interval of a difference, not whether two intervals overlap.",
    )


def seeds(lookup: Lookup) -> Topic:
    """How far intervals cover the luck of training."""
    count = len({checkpoint.seed for checkpoint in lookup.checkpoints})
    if count > 1:
        return (
            "Seeds.",
            f"Each configuration was trained with {numeral(count)} seeds; an interval covers one trained network.",
        )
    return (
        "One seed.",
        "Each network was trained once. Intervals cover the choice of test images, not the luck of initialisation, "
        "data order and noise; another seed can move any number by more than its interval.",
    )


def weights(lookup: Lookup) -> Topic:
    """How the weights were chosen."""
    chosen = [one for one in lookup.checkpoints if one.test_selected]
    if not chosen:
        return (
            "Weights.",
            f"{weights_kept(lookup)}. Nothing was selected on test images. Published numbers often keep the epoch "
            "that is best on test and come out higher.",
        )
    return (
        f"Weights: {TEST_SELECTED}.",
        f"{weights_kept(lookup)}. Every number of {spelled_out(who(lookup, chosen))} was measured on the images that "
        "chose the weights, as in the published study: it is too good, and by how much is not known. It compares with "
        "published numbers that were chosen the same way and with nothing else.",
    )


def corruptions(benchmark: BenchmarkSet) -> list[Topic]:
    """Cautions about corruption errors, in words that fit the set measured."""
    relative = "Relative mCE" if benchmark.complete else "Relative corruption error"
    text = f"Measured on {benchmark.name}."
    if benchmark.seed is not None:
        text += " Images that nsbench generates follow the published recipes but are not the official files."
    if not benchmark.complete:
        text += " A mean over a subset does not compare with the mean over the whole set."
    return [
        ("Corrupted images.", text),
        (
            f"{relative}.",
            "It divides by how much the baseline's error grows under a corruption. Where that growth is small the "
            "ratio is ill-conditioned, and a model with a high clean error has less left to lose: lower is not "
            "simply better.",
        ),
    ]
