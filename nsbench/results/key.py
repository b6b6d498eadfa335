"""What a number measures, as typed fields, and the one text form that files and options have of it."""

from dataclasses import dataclass, replace
from math import isclose
from typing import Any, Literal, get_args

from pydantic import ConfigDict

from nsbench.config.fields import Name, OptionalName

Kind = Literal["clean", "scaled", "attack", "corruption", "perturbation", "test_set"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_ENDS: dict[str, str] = {"corruption": "-c", "perturbation": "-p"}


@dataclass(frozen=True)
class Key:
    """What one number measures; hashable, and sorted as a report reads: means before what they are over.

    >>> sorted([Key("corruption", "top1_error", "cifar10-c", "fog", 3), Key("clean", "top1_error")])[0].kind
    'clean'
    """

    kind: Kind
    """Clean images, these after temperature scaling, attacked ones, or those of a benchmark."""
    metric: Name
    """A name of METRICS: top1_error, expected_calibration_error, ..."""
    protocol: OptionalName = ""
    """The benchmark, such as `cifar10-c` or `cifar10.1`; empty for clean, scaled and attacked images."""
    member: OptionalName = ""
    """A corruption, a perturbation or an attack; empty for a mean and for a whole set."""
    severity: int | None = None
    """The severity of one cell of a corruption."""
    strength: float | None = None
    """The strength of an attack: the largest change of a pixel in [0, 1], exact."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    def __str__(self) -> str:
        return f"{self.benchmark} {self.metric}"

    def __lt__(self, other: "Key") -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[Any, ...]:
        cell = (self.protocol, self.member, self.severity or 0, self.strength or 0.0)
        return (KINDS.index(self.kind), *cell, self.metric)

    @property
    def benchmark(self) -> str:
        """All but the metric as text, which `parsed` reads.

        >>> Key("corruption", "top1_error", "cifar10-c", "fog", 3).benchmark
        'corruption/fog/3'
        >>> Key("attack", "top1_error", member="fgsm", strength=8 / 255).benchmark
        'fgsm/0.0313725'
        >>> Key("corruption", "mean_error", "cifar10-c-bar").benchmark, Key("test_set", "top1_error", "v2").benchmark
        ('corruption@cifar10-c-bar', 'test_set/v2')
        """
        parts: list[object] = [self.kind, self.member]
        if self.kind == "attack":
            parts = [self.member]
        elif self.kind == "test_set":
            parts = [self.kind, self.protocol, self.member]
        elif self.protocol and not self.standard:
            parts = [f"{self.kind}@{self.protocol}", self.member]
        parts += [self.severity] if self.severity is not None else []
        parts += [f"{self.strength:g}"] if self.strength is not None else []
        return "/".join(str(part) for part in parts if part != "")

    @property
    def standard(self) -> bool:
        """Whether the benchmark is the -C or -P of a data set and no further one."""
        return self.kind in _ENDS and self.protocol.endswith(_ENDS[self.kind])

    @property
    def data(self) -> str:
        """The data set whose own benchmark this is; empty where it is none."""
        return self.protocol.removesuffix(_ENDS[self.kind]) if self.standard else ""

    def matches(self, other: "Key") -> bool:
        """Whether this is the same number, a strength that text has rounded being the one that it came from.

        >>> Key("attack", "top1_error", strength=1 / 3).matches(Key("attack", "top1_error", strength=0.333333))
        True
        """
        own, its = self.strength, other.strength
        near = own == its if own is None or its is None else isclose(own, its, rel_tol=1e-5, abs_tol=1e-9)
        return near and replace(self, strength=None) == replace(other, strength=None)

    def dumped(self) -> dict[str, Any]:
        """The fields that say something, for a record."""
        return {name: value for name, value in vars(self).items() if value not in (None, "")}


def own_protocol(kind: str, data: str) -> str:
    """The name of a data set's own -C or -P; empty for what is measured without a benchmark.

    >>> own_protocol("corruption", "cifar10"), own_protocol("clean", "cifar10")
    ('cifar10-c', '')
    """
    return f"{data}{_ENDS[kind]}" if kind in _ENDS else ""


def parsed(benchmark: str, metric: str, data: str) -> Key:
    """The key that a record before version 4 or a user has as text.

    Args:
        benchmark: as `Key.benchmark` writes it; a strength may also be a fraction.
        metric: its name.
        data: the data set, whose own -C or -P is meant where no benchmark is named.

    Raises:
        ValueError: a severity or a strength is not a number.

    >>> parsed("fgsm/0.0313725", "top1_error", "cifar10") == parsed("fgsm/8/255", "top1_error", "cifar10")
    True
    """
    first, _, rest = benchmark.partition("/")
    kind, _, protocol = first.partition("@")
    name, _, last = rest.partition("/")
    match kind:
        case "clean" | "scaled":
            return Key(kind, metric)
        case "test_set":
            return Key(kind, metric, name, last)
        case "corruption" | "perturbation":
            return Key(kind, metric, protocol or own_protocol(kind, data), name, int(last) if last else None)
    return Key("attack", metric, member=kind, strength=strength(rest) if rest else None)


def strength(text: str) -> float:
    """The strength of an attack from text, which may have six digits of a fraction of 255.

    >>> strength("0.0313725") == strength("8/255") == 8 / 255, strength("0.03")
    (True, 0.03)
    """
    above, _, below = text.partition("/")
    eps = float(above) / float(below or 1)
    return round(eps * 255) / 255 if _is_whole(eps) else eps


def strength_text(eps: float) -> str:
    """The strength of an attack as it is usually written.

    >>> strength_text(0.0), strength_text(0.03), strength_text(8 / 255)
    ('0', '0.03', '8/255')
    """
    return f"{round(eps * 255)}/255" if _is_whole(eps) else f"{eps:.4g}"


def _is_whole(eps: float) -> bool:
    """Whether a strength is a whole number of the 255 steps of a pixel."""
    steps = eps * 255
    return steps >= 1 and abs(steps - round(steps)) < 1e-4
