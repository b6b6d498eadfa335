"""Where the models of a listing are: its paths are relative to its own folder, wherever the command runs."""

import os
import re
import unicodedata
from pathlib import Path
from typing import Any

from nsbench.config.survey import ModelConfig, SurveyConfig
from nsbench.errors import UserError, shortened

MOST = 4096
"""Characters of a source or a path; Linux allows no longer path."""

_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, lone surrogates, line and paragraph separators
_MODULE = re.compile(r"[A-Za-z_][\w.]*")


def check_text(text: str, what: str) -> None:
    """Raise UserError for a text that names nothing: an empty one, one too long, or with control characters.

    Args:
        text: from the command line, a program or a file.
        what: it is, such as "The source of a model".
    """
    if not text:
        raise UserError(f"{what} is empty: name it, or leave it out.")
    if len(text) > MOST:
        raise UserError(f"{what} has {len(text):,} characters ({shortened(text, 40)!r}): name at most {MOST:,}.")
    if any(unicodedata.category(one) in _UNPRINTABLE for one in text):
        raise UserError(f"{what} has characters that cannot be printed ({shortened(text)!r}): rename it.")


def seen_from_here(row: Any, file: Path) -> Any:
    """One model of a listing with its paths as they are from the current folder; anything that is no table unchanged.

    Args:
        row: an entry of `models`.
        file: the listing.

    Raises:
        UserError: a path that leads to one thing beside the file and to another from the current folder.
    """
    if not isinstance(row, dict):
        return row
    row = dict(row)
    for key in ("source", "weights"):
        if isinstance(row.get(key), str) and (row[key] or key == "source"):
            check_text(row[key], f"{file}: {key}")
            before, path, after = _parts(row[key]) if key == "source" else ("", row[key], "")
            row[key] = before + (_found(path, file, fixed=bool(before)) if path else "") + after
    return row


def seen_from(config: SurveyConfig, folder: Path) -> SurveyConfig:
    """The configuration as it stands in a folder: paths near it are relative to it, all others absolute."""
    return config.model_copy(update={"models": tuple(_moved(model, folder) for model in config.models)})


def _moved(model: ModelConfig, folder: Path) -> ModelConfig:
    before, path, after = _parts(model.source)
    if path and (not before or Path(path).is_dir()):
        path = _portable(path, folder)
    weights = _portable(model.weights, folder) if model.weights else ""
    return model.model_copy(update={"source": before + path + after, "weights": weights})


def _parts(source: str) -> tuple[str, str, str]:
    """What stands before the path in a source, the path, and what follows; no path where a package is named."""
    kind, _, rest = source.partition(":")
    if kind in ("timm", "torchvision"):
        return source, "", ""
    if kind == "torchhub":
        place, colon, entry = rest.rpartition(":")
        return f"{kind}:", place, colon + entry
    place, colon, function = source.rpartition(":")
    if place.endswith(".py"):
        return "", place, colon + function
    return (source, "", "") if _MODULE.fullmatch(place) else ("", source, "")


def _found(text: str, file: Path, *, fixed: bool) -> str:
    """A path as it is from the current folder; one that leads nowhere is taken as beside the file unless `fixed`."""
    beside, here = _beside(text, file.parent), Path(text)
    there = [path for path in (beside, here) if _exists(path)]
    if len(there) > 1 and os.path.realpath(beside) != os.path.realpath(here):
        raise UserError(
            f"{file} names {text}, which is one thing beside that file and another in the current folder: "
            f"run the command in {file.parent.absolute()}, or write the whole path."
        )
    if not there and fixed:
        return text
    return str(there[0] if there else beside)


def _beside(text: str, folder: Path) -> Path:
    """A path that is relative to a folder; `..` in it is followed as the file system does."""
    path = folder / text
    return path.parent.resolve() / path.name if ".." in Path(text).parts[:-1] else path


def _exists(path: Path) -> bool:
    """Whether something is there, a network of a run under its labels included."""
    labels = path.parent.name.startswith("seed") and (path.parent.parent.parent / "plan.json").is_file()
    return labels or os.path.lexists(path)


def _portable(text: str, folder: Path) -> str:
    path, home = Path(text).absolute(), folder.resolve()
    real = path.parent.resolve() / path.name
    near = path.name != ".." and home.parent in real.parents
    written = os.path.relpath(real, home) if near else str(path)
    try:
        written.encode()
    except UnicodeEncodeError:
        raise UserError(f"The path {written!r} is not valid UTF-8: rename that file or folder.") from None
    return written
