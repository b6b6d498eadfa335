"""The benchmarks there are, by name; a program may add its own."""

from nsbench.errors import UserError, hint
from nsbench.names import check_name
from nsbench.plugins import load_plugins
from nsbench.protocols.cifar import PROTOCOLS, corruptions_of, perturbations_of
from nsbench.protocols.protocol import Protocol

_OWN = ("-c", "-p")

_REGISTERED: dict[str, Protocol] = {protocol.name: protocol for protocol in PROTOCOLS}


def register(protocol: Protocol) -> None:
    """Add a benchmark; adding the same one twice is not a mistake.

    Raises:
        UserError: another one has this name, it is one that only the -C or -P of a data set may have, or it or one of
            its members cannot be called so.
    """
    for name in (protocol.name, *protocol.names):
        check_name(name, "The benchmark or corruption")
    if protocol.name.endswith(_OWN) and not is_own(protocol):
        raise UserError(f"{protocol.name!r} ends like a data set's own -C or -P: choose another name.")
    if _REGISTERED.setdefault(protocol.name, protocol) != protocol:
        raise UserError(f"There is another benchmark called {protocol.name!r}: choose another name.")


def registered() -> tuple[Protocol, ...]:
    """All benchmarks, in the order in which they were added."""
    return tuple(_REGISTERED.values())


def find_protocol(name: str) -> Protocol:
    """The benchmark of this name.

    Raises:
        UserError: there is none; the nearest name is given.

    >>> find_protocol("cifar10-c").title
    'CIFAR-10-C'
    """
    if name not in _REGISTERED:
        load_plugins()
    if name not in _REGISTERED:
        known = ", ".join(_REGISTERED)
        raise UserError(f"There is no benchmark {name!r}: choose from {known}.{hint(name, _REGISTERED)}")
    return _REGISTERED[name]


def protocols_of(data_set: str) -> tuple[Protocol, ...]:
    """The benchmarks that belong to a data set."""
    return tuple(protocol for protocol in registered() if data_set in protocol.data_sets)


def is_own(protocol: Protocol) -> bool:
    """Whether it is the -C or -P that a data set has anyway."""
    return any(protocol.name == data_set + end for data_set in protocol.data_sets for end in _OWN)


def further_names() -> tuple[str, ...]:
    """Names of test sets and sets of corruptions that are measured beside those."""
    return tuple(one.name for one in registered() if one.kind != "perturbation" and not is_own(one))


def corruption_protocol(data_set: str, title: str) -> Protocol:
    """The corruptions that a data set has unless others are asked for: its own, or those of CIFAR-10-C under its name.

    Args:
        data_set: its name.
        title: what a report calls it.
    """
    return _REGISTERED.get(f"{data_set}-c") or corruptions_of(data_set, title)


def perturbation_protocol(data_set: str, title: str) -> Protocol:
    """The same of perturbations."""
    return _REGISTERED.get(f"{data_set}-p") or perturbations_of(data_set, title)
