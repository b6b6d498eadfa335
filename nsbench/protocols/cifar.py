"""The benchmarks of CIFAR-10 and CIFAR-100: corruptions, perturbations and a second test set.

-C and -P: D. Hendrycks, T. Dietterich. Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations. ICLR 2019 (arXiv:1903.12261), in the CIFAR variant that they published, which alone has these members,
severities and frames. The digits have them too, generated. CIFAR-10.1: B. Recht, R. Roelofs, L. Schmidt, V. Shankar.
Do CIFAR-10 Classifiers Generalize to CIFAR-10? 2018 (arXiv:1806.00451).
"""

from nsbench.protocols.protocol import Layout, Mean, Member, Protocol

_FIFTEEN = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
"""The corruptions that count, in the paper's order."""

_VALIDATION = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""The authors' corruptions for tuning: shown, in no mean of theirs."""

_FURTHER: tuple[str, ...] = ()
"""Corruptions that the published benchmark does not have: shown, and in no mean at all. Another one is added here."""

_TEN = (
    "gaussian_noise",
    "shot_noise",
    "motion_blur",
    "zoom_blur",
    "spatter",
    "brightness",
    "translate",
    "rotate",
    "tilt",
    "scale",
)
"""The perturbations that count, as the authors' script averages them."""

_OTHER_TEN = (
    "snow",
    "shear",
    "gaussian_blur",
    "speckle_noise",
    "gaussian_noise_2",
    "gaussian_noise_3",
    "shot_noise_2",
    "shot_noise_3",
    "speckle_noise_2",
    "speckle_noise_3",
)
"""The other files of the archive: shown, in no mean of theirs."""

_FRAMES = {"motion_blur": 21, "translate": 16}
_USUAL_FRAMES = 31
_CLEAN_FRAMES = {"zoom_blur": 0, "translate": 7}

LABELS = "labels"
"""The stem of the file of labels, which corruptions have and perturbations do not."""

PAPER = "paper"
"""The mean of the Noisy Student report, which includes every published file."""
IMAGENET = "imagenet"
"""The mean of ImageNet-P, the paper's own ten perturbations: snow in spatter's place."""


def corruptions_of(data_set: str, title: str, *, side: int = 0, published: bool = False) -> Protocol:
    """The corruptions of any data set: the members, severities and means of CIFAR-10-C.

    >>> corruptions_of("digits", "Digits").name
    'digits-c'
    """
    shown = tuple(Member(name, counts=False) for name in _VALIDATION + _FURTHER)
    return Protocol(
        name=f"{data_set}-c",
        title=f"{title}-C",
        kind="corruption",
        data_sets=(data_set,),
        layout=Layout(folders=(f"{title}-C",), labels=LABELS),
        members=tuple(map(Member, _FIFTEEN)) + shown,
        means=(Mean(PAPER, _FIFTEEN + _VALIDATION),),
        severities=tuple(range(1, 6)),
        side=side,
        published=published,
    )


def perturbations_of(data_set: str, title: str, *, side: int = 0, published: bool = False) -> Protocol:
    """The perturbations of any data set: the members, frames and means of CIFAR-10-P."""
    return Protocol(
        name=f"{data_set}-p",
        title=f"{title}-P",
        kind="perturbation",
        data_sets=(data_set,),
        layout=Layout(folders=(f"{title}-P",)),
        members=tuple(map(_perturbation, _TEN + _OTHER_TEN)),
        means=(
            Mean(PAPER, _TEN + _OTHER_TEN),
            Mean(IMAGENET, tuple("snow" if name == "spatter" else name for name in _TEN)),
        ),
        side=side,
        published=published,
    )


def _perturbation(name: str) -> Member:
    noise = "_noise" in name
    return Member(
        name,
        counts=name in _TEN,
        frames=_FRAMES.get(name, _USUAL_FRAMES),
        independent=noise,
        clean_frame=0 if noise else _CLEAN_FRAMES.get(name),
    )


CIFAR10_C = corruptions_of("cifar10", "CIFAR-10", side=32, published=True)
CIFAR10_P = perturbations_of("cifar10", "CIFAR-10", side=32, published=True)
CIFAR10_1 = Protocol(
    name="cifar10.1",
    title="CIFAR-10.1 (v6)",
    kind="test_set",
    data_sets=("cifar10",),
    # A clone of its authors' repository has `datasets`.
    layout=Layout(
        folders=("CIFAR-10.1", "CIFAR-10.1/datasets", "datasets", "."),
        labels="cifar10.1_v6_labels",
        images="cifar10.1_v6_data",
        count=2000,
        balanced=True,
    ),
    side=32,
    published=True,
)
"""Version 6, whose images are balanced over the classes of CIFAR-10."""

PROTOCOLS = (
    CIFAR10_C,
    CIFAR10_P,
    corruptions_of("cifar100", "CIFAR-100", side=32, published=True),
    perturbations_of("cifar100", "CIFAR-100", side=32, published=True),
    corruptions_of("digits", "Handwritten digits (UCI, 8x8 enlarged to 32x32)", side=32),
    perturbations_of("digits", "Handwritten digits (UCI, 8x8 enlarged to 32x32)", side=32),
    CIFAR10_1,
)
