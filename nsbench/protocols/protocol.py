"""What a benchmark is, as a value: what it shows, which of that counts, and where its files are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["corruption", "perturbation", "test_set"]
"""Corruptions are labelled images at severities, perturbations sequences without labels, a test set is itself."""

Generator = Callable[["NDArray[np.uint8]", str, int, "Sequence[np.random.Generator]"], "NDArray[np.uint8]"]
"""(images (B, H, W, 3), member, severity, states) -> images of the same shape, what it was given left alone.

There is one state for each image, so that an image that is made with its own looks the same in any batch."""


@dataclass(frozen=True)
class Member:
    """One corruption or perturbation of a benchmark.

    Attributes:
        name: the official one, which is also the stem of its file.
        counts: whether it enters the benchmark's mean; otherwise it is only shown, as those for validation are.
        frames: T of each sequence; 0 where there are no sequences.
        independent: whether frames are draws of their own and not steps in time: then a flip is counted against the
            first frame, otherwise against the frame before.
        clean_frame: the frame that is the clean image itself in the published files; None where there is none.
    """

    name: str
    counts: bool = True
    frames: int = 0
    independent: bool = False
    clean_frame: int | None = None


@dataclass(frozen=True)
class Mean:
    """A further mean, over members of its own.

    Attributes:
        name: what its metrics begin with: `paper` of `paper_mean_error`.
        members: their names, in the order of the mean.
    """

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Where the arrays of a benchmark are, each a `.npy` file; those of members are called after them.

    Attributes:
        folders: looked for in the data folder, in this order; () where all is generated.
        labels: stem of the file of labels; empty where there is none.
        images: stem of the file of images of a test set.
        count: images of a test set; 0 where the file says so.
        balanced: whether a test set has as many images of each class.
    """

    folders: tuple[str, ...] = ()
    labels: str = ""
    images: str = ""
    count: int = 0
    balanced: bool = False


@dataclass(frozen=True)
class Protocol:
    """A benchmark.

    Attributes:
        name: what a user types, such as `cifar10-c`.
        title: what a report prints, such as `CIFAR-10-C`.
        kind: what it is made of.
        data_sets: names of the data sets that it belongs to.
        members: its corruptions or perturbations in their usual order; none of a test set.
        means: further means; the benchmark's own is over the members that count.
        severities: severities of each corruption, ascending.
        side: height and width in pixels; 0 where the benchmark does not fix them.
        layout: layout of its files.
        published: whether its authors' files can be had; otherwise they can only be generated.
        generator: makes its corrupted images; None where nsbench itself can make them, or nothing can.

    Raises:
        ValueError: a name comes twice, a mean has an unknown member, or severities or frames do not fit the kind.
    """

    name: str
    title: str
    kind: Kind
    data_sets: tuple[str, ...]
    layout: Layout = Layout()
    members: tuple[Member, ...] = ()
    means: tuple[Mean, ...] = ()
    severities: tuple[int, ...] = ()
    side: int = 0
    published: bool = False
    generator: Generator | None = None

    def __post_init__(self) -> None:
        faults = [
            (len(set(self.names)) < len(self.names), "a member comes twice"),
            (any(set(mean.members) - set(self.names) for mean in self.means), "a mean has an unknown member"),
            ((self.kind == "corruption") != bool(self.severities), "severities are what corruptions have"),
            (list(self.severities) != sorted({one for one in self.severities if one > 0}), "severities ascend from 1"),
            (
                any((member.frames > 1) != (self.kind == "perturbation") for member in self.members),
                "frames are what sequences have",
            ),
        ]
        for wrong, why in faults:
            if wrong:
                raise ValueError(f"{self.name} is not a benchmark: {why}")

    @property
    def names(self) -> tuple[str, ...]:
        """All members."""
        return tuple(member.name for member in self.members)

    @property
    def counted(self) -> tuple[str, ...]:
        """The members that enter the benchmark's mean, in its order."""
        return tuple(member.name for member in self.members if member.counts)

    @property
    def shown(self) -> tuple[str, ...]:
        """The members that never do."""
        return tuple(member.name for member in self.members if not member.counts)

    def member(self, name: str) -> Member:
        """A member by its name; KeyError where there is none.

        >>> moving = Member("tilt", frames=31)
        >>> Protocol("x-p", "X-P", "perturbation", ("x",), Layout(("X-P",)), (moving,)).member("tilt").frames
        31
        """
        return {member.name: member for member in self.members}[name]

    def mean(self, name: str) -> tuple[str, ...]:
        """The members of a further mean, in its order; KeyError where there is none."""
        return {mean.name: mean.members for mean in self.means}[name]
