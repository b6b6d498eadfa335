"""Damage done to files and texts: a few small changes, drawn by hypothesis and printed when a case fails.

A change is a value: what is done, two places, and what is put there. Places are taken modulo the length of what is
damaged, so that any drawn number is one. The same change of the same content gives the same bytes.
"""

import copy
import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save

Arrays = dict[str, NDArray[Any]]


class Change(NamedTuple):
    """One change.

    Attributes:
        kind: what is done.
        place: where.
        other: a second place, or how much.
        value: what is put there.
    """

    kind: str
    place: int
    other: int
    value: Any


OUTSIDE = "/OUTSIDE"
"""Stands for a folder that is not nsbench's; `aimed` puts in its path."""

ODD_TEXTS = (
    "", " ", ".", "..", "../../outside/x", f"{OUTSIDE}/x", f"{OUTSIDE}/keep.txt", "a/../../../outside/x", "~", "-",
    "-x", "a" * 300, "b" * 70_000, "\x00", "x\x00y", "\x1b[31mred", "two\nlines", "\r", "\u202eback", "\ud800",
    "caf\u00e9",    "\U0001f642", "NaN", "null", "true", "1", "-1", "1e5", "=1+1", "@x",
    "%s%n", "{{ 7 * 7 }}", "${HOME}", "CON", "a:b",
    "<script>alert(1)</script>", "__class__", "clean", "fog", "contrast", "fgsm", "teacher", "resnet8", "resnet20",
    "resnet99999998", "resnet8-w99999", "labels", "seed0/gen0", "hard/seed0/gen0-resnet8-w0.125", "digits", "cifar10",
)  # fmt: skip
ODD_NUMBERS = (
    0, -0.0, 1, -1, 2, 3, 5, 7, 10, 11, 255, 256, 257, 65_536, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63,
    2**64, -(2**63), 10**30, 0.1, 0.5, 1.5, 1e-320, 1e300, -1e300, math.nan, math.inf, -math.inf,
)  # fmt: skip
RAW = {
    "@deep list@": "[" * 3000 + "]" * 3000,
    "@deepest list@": "[" * 150_000 + "]" * 150_000,
    "@deep table@": '{"a":' * 3000 + "1" + "}" * 3000,
    "@long number@": "9" * 5000,
    "@beyond@": "1e999",
    "@twice@": '{"a": 1, "a": 2}',
}
"""What a parser of JSON meets and `json.dumps` does not write: put in as it stands."""

places = st.integers(0, 2**24)
plain = st.one_of(
    st.none(), st.booleans(), st.sampled_from(ODD_NUMBERS), st.integers(), st.floats(), st.sampled_from(ODD_TEXTS),
    st.text(max_size=20),
)  # fmt: skip
values = st.one_of(
    plain,
    st.sampled_from([*RAW, [], {}, [[]], [None], {"": None}, ["x"], [0, 0], {"name": "x"}, [0.5] * 10, [1e9] * 1000]),
    st.lists(plain, max_size=4),
    st.dictionaries(st.sampled_from(ODD_TEXTS), plain, max_size=2),
)
chunks = st.one_of(
    st.binary(max_size=12), st.sampled_from([b"\n", b"\x00" * 9, b"\xff" * 9, b'"', b"{", b"]", b"9" * 20])
)


def changes(
    kinds: Sequence[str], of: st.SearchStrategy[Any] = values, most: int = 3
) -> st.SearchStrategy[list[Change]]:
    """One change or a few, of some kinds."""
    return st.lists(st.builds(Change, st.sampled_from(kinds), places, places, of), min_size=1, max_size=most)


def in_bytes(content: bytes, change: Change) -> bytes:
    """Bytes with one change."""
    at, value = change.place % (len(content) + 1), change.value if isinstance(change.value, bytes) else b"\x00"
    span = 1 + change.other % 64
    actions: dict[str, Callable[[], bytes]] = {
        "flip": lambda: _flipped(content, change.place, change.other % 8),
        "truncate": lambda: content[:at],
        "behead": lambda: content[at:],
        "insert": lambda: content[:at] + value + content[at:],
        "overwrite": lambda: content[:at] + value + content[at + len(value) :],
        "double": lambda: content[: at + span] + content[at:],
        "cut": lambda: content[:at] + content[at + span :],
        "append": lambda: content + value,
        "empty": lambda: b"",
    }
    return actions[change.kind]()


BYTES = ("flip", "flip", "flip", "truncate", "behead", "insert", "overwrite", "double", "cut", "append", "empty")
LINES = ("double line", "drop line", "swap lines", "flip", "insert", "cut", "truncate")


def in_lines(content: bytes, change: Change) -> bytes:
    """Lines with one change, or bytes with one."""
    lines = content.split(b"\n")
    first, second = change.place % len(lines), change.other % len(lines)
    if change.kind == "double line":
        lines.insert(second, lines[first])
    elif change.kind == "drop line":
        del lines[first]
    elif change.kind == "swap lines":
        lines[first], lines[second] = lines[second], lines[first]
    else:
        return in_bytes(content, change)
    return b"\n".join(lines)


TREE = (
    *("alike",) * 4, *("replace",) * 2, "drop", "double", "exchange", "rename", "wrap", "as text", "add",
)  # fmt: skip


def in_tree(tree: Any, change: Change) -> Any:
    """A tree of JSON values with one change."""
    tree = copy.deepcopy(tree)
    found = [*_slots(tree)]
    if not found:
        return change.value
    holder, key = found[change.place % len(found)]
    elsewhere, there = found[change.other % len(found)]
    odd_name = change.value if isinstance(change.value, str) else "other"
    others: dict[str, Callable[[], Any]] = {
        "replace": lambda: change.value,
        "alike": lambda: _alike(holder[key], change),
        "exchange": lambda: copy.deepcopy(elsewhere[there]),
        "wrap": lambda: [holder[key]] if change.other % 2 else {"value": holder[key]},
        "as text": lambda: str(holder[key]),
    }
    if change.kind in others:
        holder[key] = others[change.kind]()
    elif change.kind == "drop":
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(change.other % (len(holder) + 1), change.value if change.kind == "add" else holder[key])
    elif change.kind == "rename":
        holder[odd_name] = holder.pop(key)
    else:
        holder["further"] = change.value if change.kind == "add" else holder[key]
    return tree


def _alike(value: Any, change: Change) -> Any:
    """Another value of the same type, which gets past whatever looks at types alone."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return change.value if isinstance(change.value, str) else ODD_TEXTS[change.other % len(ODD_TEXTS)]
    if isinstance(value, int | float):
        found = ODD_NUMBERS[change.other % len(ODD_NUMBERS)]
        return int(found) if isinstance(value, int) and math.isfinite(found) else found
    if isinstance(value, list):
        return value[:1] * (change.other % 40)
    return {} if isinstance(value, dict) else change.value


def json_bytes(tree: Any) -> bytes:
    """A tree as JSON, with what `RAW` stands for."""
    text = json.dumps(tree, indent=1)
    for name, raw in RAW.items():
        text = text.replace(json.dumps(name), raw)
    return text.encode()


ARRAYS = ("drop", "rename", "add", "cast", "reshape", "fewer", "more", "fill", "one value", "reverse", "empty", "grow")
TYPES = (np.float64, np.float16, np.int64, np.int8, np.uint8, np.bool_, np.float32)


def in_arrays(arrays: Arrays, change: Change) -> Arrays:
    """Named arrays with one change."""
    names = sorted(arrays)
    if not names:
        return {"further": np.zeros(3, np.float32)}
    name = names[change.place % len(names)]
    one = arrays[name]
    rest = {other: found for other, found in arrays.items() if other != name}
    if change.kind == "drop":
        return rest
    if change.kind in {"rename", "add"}:
        return (rest if change.kind == "rename" else arrays) | {f"{name}.other": one}
    with np.errstate(all="ignore"):
        return rest | {name: _changed(one.copy(), change)}


def _changed(one: NDArray[Any], change: Change) -> NDArray[Any]:
    """An array with one change; one number alone has neither rows nor columns to change."""
    flat, number = one.reshape(-1), change.value if isinstance(change.value, int | float) else math.nan
    if change.kind == "cast":
        return one.astype(TYPES[change.other % len(TYPES)])
    if change.kind == "fill":
        return np.full_like(one, _as(one.dtype, number))
    if change.kind == "one value" and flat.size:
        flat[change.other % flat.size] = _as(one.dtype, number)
        return one
    if change.kind == "reshape" or not one.ndim:
        return (flat, one[None], one[..., None], one.T.copy())[change.other % 4]
    others = {"fewer": one[:-1], "empty": one[:0], "reverse": one[::-1].copy(), "grow": np.concatenate([one, one], -1)}
    return others.get(change.kind, np.concatenate([one, one[-1:]]))


def _as(dtype: np.dtype[Any], number: float) -> Any:
    """A number as one of this type, the nearest that there is."""
    if dtype.kind == "f":
        return np.float64(min(max(number, -1e300), 1e300)) if math.isfinite(number) else number
    if dtype.kind == "b":
        return bool(number)
    bounds = np.iinfo(dtype)
    return bounds.max if math.isnan(number) else int(min(max(number, bounds.min), bounds.max))


def in_tensor_header(content: bytes, change: Change) -> bytes:
    """A safetensors file with one change of its header, whose length is put right."""
    length = int.from_bytes(content[:8], "little")
    head = json_bytes(in_tree(json.loads(content[8 : 8 + length]), change))
    return len(head).to_bytes(8, "little") + head + content[8 + length :]


def in_tensor_file(content: bytes, change: Change) -> bytes:
    """A safetensors file with one change of its arrays, written again under the metadata that it had."""
    return save(in_arrays(load(content), change), metadata_of(content))


def metadata_of(content: bytes) -> dict[str, str]:
    """The texts that go with the arrays of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    return dict(json.loads(content[8 : 8 + length]).get("__metadata__", {}))


def aimed(content: Any, outside: str) -> Any:
    """Texts, or a tree of them, in which `OUTSIDE` is a folder's path."""
    if isinstance(content, str):
        return content.replace(OUTSIDE, outside)
    if isinstance(content, list):
        return [aimed(one, outside) for one in content]
    if isinstance(content, dict):
        return {aimed(key, outside): aimed(one, outside) for key, one in content.items()}
    return content


def _flipped(content: bytes, place: int, bit: int) -> bytes:
    if not content:
        return content
    at = place % len(content)
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


def _slots(tree: Any) -> Any:
    """Every place in a tree: what holds it, and its key there."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _slots(tree[key])
