"""What an exported program's archive may hold.

`torch.export.load` unpickles, with no restriction, tensors that are marked so, objects among the constants, and
example inputs that its restricted loader refuses; it evaluates expressions for sizes as Python, calls whatever
attribute of torch a node names, and loads compiled libraries (torch 2.15: torch/export/pt2_archive/_package.py,
torch/_export/serde/serialize.py). Each of these is refused here before the archive is opened. Read with PyTorch's own
reader, so that both see the same content.
"""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nsbench.errors import UserError

_CONFIG = re.compile(r"data/(weights|constants)/\w+_config\.json")
_TENSOR = re.compile(r"(weight|tensor)_\d+")
_ALLOWED = re.compile(
    r"archive_format|archive_version|byteorder|\.data/\w+|data/(weights|constants)/(\w+|model_\w+_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|extra/.*"
)
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|torchvision)\.(?!from_file\b)\w+\.\w+"
    r"|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)"
    r"|_operator\.(getitem|add|sub|mul|neg|pow|mod|floordiv|truediv|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt)|torch\.sym_\w+"
)
_WORDS = (
    "Symbol|Integer|Rational|Add|Mul|Pow|Min|Max|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|IntTrueDiv|Identity"
    "|Equality|Unequality|LessThan|GreaterThan|StrictLessThan|StrictGreaterThan|integer|positive|nonnegative|True|False"
)
_EXPRESSION = re.compile(rf"(?:\b(?:{_WORDS}|\d+)\b|'[a-z]+\d+'|[-(),= ])*")
_TREE_TYPES = (None, "builtins.tuple", "builtins.list", "builtins.dict")


def check_archive(content: bytes, path: Path) -> None:
    """Raise UserError unless opening the archive with `torch.export.load` unpickles and evaluates nothing.

    Args:
        content: content of the file.
        path: to name in the error.
    """
    damaged = UserError(f"{path} is damaged or is not an exported program: write it with torch.export.save.")
    try:
        reader = torch._C.PyTorchFileReader(io.BytesIO(content))
        records = reader.get_all_records()
    except RuntimeError:
        raise damaged from None
    if "archive_format" not in records:
        raise UserError(
            f"{path} is not an exported program of PyTorch 2.8 or later: save it again with torch.export.save."
        )
    try:
        fault = next(_faults(reader, records), None)
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError):  # parts absent or of another shape
        raise damaged from None
    if fault is not None:
        raise UserError(
            f"{path} holds {fault}, and was not opened, since that could run any code: export a plain network of "
            "tensors and torch operators, or name its Python code with --weights."
        )


def _faults(reader: Any, records: list[str]) -> Iterator[str]:
    yield from (f"the unknown part {name}" for name in records if not _ALLOWED.fullmatch(name))
    for name in filter(_CONFIG.fullmatch, records):
        yield from _pickles(json.loads(reader.get_record(name)))
    if not _is_plain(reader.get_record("data/sample_inputs/model.pt")):
        yield "pickled example inputs"
    yield from _suspicious(json.loads(reader.get_record("models/model.json")))


def _pickles(config: dict[str, Any]) -> Iterator[str]:
    for name, entry in config["config"].items():
        if entry.get("use_pickle") or not _TENSOR.fullmatch(str(entry.get("path_name"))):
            yield f"a pickled object ({name})"


def _is_plain(content: bytes) -> bool:
    """Whether bytes are empty or what the restricted loader opens."""
    try:
        if content:
            torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - whatever it raises, the unrestricted loader would follow
        return False
    return True


def _suspicious(part: Any) -> Iterator[str]:
    """Operators, expressions and types in a nested description that are not on our lists."""
    for key, value in _strings(part):
        if key in ("target", "as_operator") and not _OPERATOR.fullmatch(value):
            yield f"the operator {value!r}"
        if key == "expr_str" and not _EXPRESSION.fullmatch(value):
            yield f"the expression {value!r}"
        if key in ("in_spec", "out_spec") and not _is_simple(json.loads(value)[1]):
            yield "inputs or outputs of a type of its own"


def _strings(part: Any) -> Iterator[tuple[str, str]]:
    """Every string that is the value of a key, at any depth."""
    if isinstance(part, dict):
        for key, value in part.items():
            if isinstance(value, str):
                yield key, value
            else:
                yield from _strings(value)
    elif isinstance(part, list):
        for value in part:
            yield from _strings(value)


def _is_simple(tree: dict[str, Any]) -> bool:
    """Whether a structure consists of tuples, lists and dictionaries with plain keys."""
    simple = tree["type"] in _TREE_TYPES and "__" not in str(tree["context"])
    return simple and all(_is_simple(child) for child in tree["children_spec"])
