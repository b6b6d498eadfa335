"""What the numbers of a report can and cannot say."""

from nsbench.report.lookup import Lookup
from nsbench.report.prose.wording import numeral, plural
from nsbench.report.stamp import TEST_SELECTED, spelled_out
from nsbench.report.tables.comparisons import Compared
from nsbench.report.tables.table import number_text
from nsbench.report.tables.trained import weights_kept, who
from nsbench.results.key import Key
from nsbench.results.measured import BenchmarkSet

Topic = tuple[str, str]

CALIBRATION = (
    "Calibration.",
    "Noise raises a plug-in calibration error, for a perfectly calibrated model to a floor that depends on its own "
    "confidences and on the count of images: the tables have it for each model. The unbiased value has "
    "that taken off, and its interval is for the true value. Negative log-likelihood and the Brier score have no bins "
    "and no floor; they stand beside it.",
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


TEMPERATURE = (
    "Temperature.",
    "A temperature corrects one kind of miscalibration, confidence that is too high or too low throughout, and only "
    "for images like those it was fitted on. It changes no prediction and promises nothing on corrupted images. "
    "Intervals after scaling take the temperature as given.",
)
MASKING = (
    "Gradient masking.",
    "An attack by gradient fails where the gradient is hidden, which is not the same as a model that withstands it. "
    "Signs are zero gradients, accuracy that rises with ε, and a stronger attack that does worse than FGSM; a report "
    "without signs does not prove their absence. The lowest accuracy under any attack is an upper bound on robust "
    "accuracy, never an estimate of it.",
)
PREPROCESSING = (
    "Preprocessing.",
    "Mean and standard deviation are what was declared for each model. Wrong ones make every number of a model worse, "
    "and nothing here can show it.",
)
ORIGIN = (
    "Origin.",
    "How weights that nsbench did not train were chosen is unknown. Weights picked by their accuracy on these "
    "test images, or trained on them, come out too good.",
)


def limits(lookup: Lookup) -> list[Topic]:
    """Cautions that fit what was measured, as pairs of a topic and its explanation."""
    topics = [sampling(lookup)]
    if lookup.results.comparisons:
        topics.append(several(lookup))
    topics.append(seeds(lookup))
    if lookup.students():
        topics.append(budgets(lookup))
    if lookup.checkpoints:
        topics.append(weights(lookup))
    if lookup.results.models:
        topics += [ORIGIN, PREPROCESSING]
    classes = len(lookup.results.data.classes)
    if classes <= 20 and lookup.checkpoints and lookup.measured(Key("clean", "top5_error")):
        topics.append(
            (
                "Top-5.",
                f"On {classes} classes top-5 accuracy is close to its ceiling. It is shown and never used to rank.",
            )
        )
    if lookup.measured(Key("clean", "expected_calibration_error")):
        topics.append(CALIBRATION)
    if lookup.measured(Key("scaled", "temperature")):
        topics.append(TEMPERATURE)
    return topics + on_attacks(lookup) + on_shifted_images(lookup)


def on_attacks(lookup: Lookup) -> list[Topic]:
    """Cautions about accuracy under attack."""
    found = lookup.attacks()
    if not found:
        return []
    return [FGSM, MASKING] if "fgsm" in found else [MASKING]


def on_shifted_images(lookup: Lookup) -> list[Topic]:
    """Cautions about corrupted and perturbed images."""
    corruption = lookup.benchmark("corruption")
    topics = corruptions(lookup, corruption) if corruption is not None else []
    return topics + ([FLIPS] if lookup.benchmark("perturbation") is not None else [])


def sampling(lookup: Lookup) -> Topic:
    """How far chance in the choice of test images reaches."""
    n = lookup.results.data.test
    margin = number_text(196 * (0.25 / max(n, 1)) ** 0.5, 1)
    return (
        "Sampling error.",
        f"With {plural(n, 'test image')} an accuracy is known to within ±{margin} points at worst (95 %). "
        f"{lookup.noun.capitalize()}s are compared on the same images, so read the interval of a difference, not "
        "whether two intervals overlap.",
    )


def several(lookup: Lookup) -> Topic:
    """What the correction of p-values covers."""
    found: list[Compared] = [*lookup.results.comparisons, *lookup.results.seed_comparisons]
    families = len({(type(one), one.family) for one in found})
    among = plural(len(found), "comparison")
    among += " of this record" if families == 1 else f" in {numeral(families)} families, one question each"
    return (
        "Several comparisons.",
        "Among many comparisons, some look like differences by chance. Holm's method keeps the chance of even one "
        f"false difference {'among the' if families == 1 else 'in each family at 5 %: here'} {among}"
        f"{' at 5 %' if families == 1 else ''}; the intervals are not corrected. No difference shown means that these "
        "images do not settle it, not that two models are equal: the column of what could have been found says how "
        "large a difference may have gone unnoticed.",
    )


def budgets(lookup: Lookup) -> Topic:
    """What a comparison of networks with unequal sizes or budgets does not show."""
    text = (
        "A student is larger than its teacher or sees more images in most chains, so a difference between the two, or "
        "to the baseline, mixes pseudo-labels with noise, size and budget. "
    )
    if lookup.control(lookup.last()) is None:
        return ("Unequal budgets.", text + "No control was trained, so nothing here separates them.")
    return (
        "Unequal budgets.",
        text + "Only the comparison with a student's control, which has its size, noise and image budget, is about the "
        "pseudo-labels, and only at this size and this budget: another budget may reverse it.",
    )


def seeds(lookup: Lookup) -> Topic:
    """How far intervals cover the luck of training."""
    count = len({checkpoint.seed for checkpoint in lookup.checkpoints})
    if count > 1:
        text = f"Each configuration was trained with {numeral(count)} seeds; an interval covers one trained network"
        means = ", except for means and comparisons over seeds, whose intervals cover both seeds and images"
        few = " So few seeds say little about how far the next one may fall." if count < 5 else ""
        alone = " A comparison of two single networks says nothing about their recipes."
        if lookup.trained_here:
            alone += " All seeds share one split: no interval covers what other labelled images would give."
        return ("Seeds.", f"{text}{means if lookup.results.seed_means else ''}.{few}{alone}")
    if not lookup.checkpoints:
        return (
            "One training run each.",
            "Each model is one set of weights. Intervals cover the choice of test images, not the luck of training; "
            "the same recipe trained again can move any number by more than its interval.",
        )
    return (
        "One seed.",
        "Each network was trained once. Intervals cover the choice of test images, not the luck of initialisation, "
        "data order and noise; another seed can move any number by more than its interval. A verdict on two networks "
        "is about these two, not about how they were trained.",
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
        "chose the weights, as in the published study: it is too good, and by how much is not known. It is comparable "
        "to published numbers that were chosen the same way and to nothing else.",
    )


def corruptions(lookup: Lookup, benchmark: BenchmarkSet) -> list[Topic]:
    """Cautions about corruption errors, worded for the set measured."""
    text = f"Measured on {benchmark.name}."
    if benchmark.seed is not None:
        text += " Images that nsbench generates follow the published recipes but are not the official files."
    if not benchmark.complete:
        text += " A mean over a subset is not comparable to the mean over the whole set."
    topics = [("Corrupted images.", text)]
    if lookup.baseline is not None:
        relative = "Relative mCE" if benchmark.complete else "Relative corruption error"
        text = (
            "It divides by how much the baseline's error grows under a corruption. Where that growth is small the "
            "ratio is ill-conditioned, and where it is not clearly positive there is none; the ratio of sums beside "
            "the averaged ratios is steadier and gives hard corruptions more weight. A model with a high clean error "
            "has less left to lose: lower is not simply better, and no model is ranked by it."
        )
        topics.append((f"{relative}.", text))
    return topics
