"""A data set by its name, and the folder it is read from."""

from pathlib import Path

import pytest

from nsbench.data.load import data_folder, load_dataset
from nsbench.errors import UserError


@pytest.fixture(autouse=True)
def no_data_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NSBENCH_DATA", raising=False)


def test_digits_need_no_folder(tmp_path: Path) -> None:
    assert len(load_dataset("digits", tmp_path / "nowhere").test) == 500


def test_cifar10_is_looked_for_in_the_folder_given(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"The data folder {tmp_path} holds no CIFAR-10"):
        load_dataset("cifar10", tmp_path)


def test_cifar10_is_looked_for_in_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NSBENCH_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match=r"elsewhere does not exist"):
        load_dataset("cifar10", None)


def test_an_unknown_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data set 'mnist'"):
        load_dataset("mnist", tmp_path)


def test_files_that_are_no_training_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"CIFAR-10-C is not a set to train on: choose one of cifar10, cifar100, digits"
    ):
        load_dataset("cifar10-c", tmp_path)


def test_the_option_goes_before_the_variable_and_the_variable_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert data_folder(None) == Path("data")
    monkeypatch.setenv("NSBENCH_DATA", "")
    assert data_folder(None) == Path("data")
    monkeypatch.setenv("NSBENCH_DATA", "~/variable")
    assert data_folder(None) == Path.home() / "variable"
    assert data_folder(Path("option")) == Path("option")
