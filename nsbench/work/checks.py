"""What is checked before any work."""

import os
from pathlib import Path

from nsbench.checkpoints.initialise import weights_sha256_of
from nsbench.checkpoints.labels import CONTROL, SUPERVISED
from nsbench.claims import CLAIMS
from nsbench.config.evaluation import check_evaluation
from nsbench.config.resolve import first_difference, load_file
from nsbench.config.schema import Config
from nsbench.config.survey import is_survey
from nsbench.errors import UserError, shortened
from nsbench.networks.names import parse_network_name
from nsbench.study.methods.method import open_method

_LONGEST_PATH = 4096
"""Bytes of a path that Linux takes, with its end."""

LONGEST = 500
"""Characters that the longest path below a run's or an evaluation's folder adds to its own, and some to spare."""

_OWN = (CLAIMS, "networks", "predictions", "samples", "report")
_WRITTEN = ("", *_OWN, "report/tables", "report/figures")


def check_writable(folder: Path) -> None:
    """Raise UserError where what is made hours later could not be written.

    That is below a path that is too long, a file, a link, or a folder without permission.

    Args:
        folder: the folder of a run or an evaluation, which need not be there yet.
    """
    whole = os.path.abspath(folder)  # noqa: PTH100 - no look-up, which a path too long would fail
    if len(os.fsencode(whole)) + LONGEST > _LONGEST_PATH:
        raise UserError(f"{shortened(whole)} is too long for what is written below it: choose another with --out.")
    check_links(folder)
    for name in _WRITTEN:
        place = folder / name
        if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
            continue
        if place.is_symlink() or place.exists():
            what = "cannot be written to" if place.is_dir() else "is a file where a folder is needed"
            raise UserError(f"{place} {what}: choose another folder with --out, or mend that one.")


def check_links(folder: Path) -> None:
    """Raise UserError where a folder that is written to below a run's or an evaluation's is a link, or one below it is.

    What is elsewhere would be replaced. The folder itself may be a link, which is its user's way to another disk, and a
    file that is one is not written through.
    """
    for own in _OWN:
        below = (Path(place, name) for place, names, _ in os.walk(folder / own) for name in names)
        for path in (folder / own, *below):
            if path.is_symlink() and path.is_dir():
                raise UserError(f"{path} is a link, and what is written below it would be elsewhere: delete it.")


def check_config(config: Config) -> None:
    """Raise UserError for a name that cannot be used, or for values that do not go together."""
    for name in (*config.study.networks, config.baseline_network):
        parse_network_name(name)
    if config.study.name in (SUPERVISED, CONTROL):
        raise UserError(f"study.name = {config.study.name!r} is taken: choose another name.")
    if len(set(config.study.seeds)) < len(config.study.seeds):
        raise UserError(f"study.seeds = {list(config.study.seeds)} names a seed twice: name each once.")
    check_evaluation(config.evaluation)
    open_method(config.method).check(config.training)
    if config.training.nesterov and config.training.momentum == 0:
        raise UserError("training.nesterov = true needs momentum: set training.momentum above 0.")
    if config.training.selection == "best-validation" and config.data.validation_fraction == 0:
        raise UserError(
            "training.selection = 'best-validation' needs held-out images: set data.validation_fraction above 0."
        )
    if config.transfer.weights:
        weights_sha256_of(Path(config.transfer.weights))


def check_run_folder(config: Config, folder: Path) -> None:
    """Raise UserError when a folder was made by another configuration."""
    path = folder / "config.toml"
    if not path.is_file():
        return
    difference = first_difference(load_file(path), config)
    if difference is not None:
        key, theirs, ours = difference
        raise UserError(
            f"{folder} was made with {key} = {theirs!r}, not {ours!r}: "
            "choose another folder with --out, or delete that one."
        )


def check_survey_folder(folder: Path) -> None:
    """Raise UserError when a folder holds something else, such as a run."""
    if (folder / "config.toml").is_file() and not is_survey(folder):
        raise UserError(f"{folder} holds a run, not an evaluation: choose another folder with --out.")
