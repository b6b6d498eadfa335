"""What is here, judged by names and sizes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nsbench.cli.data import data_app
from nsbench.data.library.entries import FileSet
from nsbench.data.library.fingerprints import Fingerprint
from nsbench.data.library.inventory import format_inventories, take_inventory
from nsbench.data.library.manifests import list_manifests, load_source
from nsbench.data.library.recorded import Records, load_records, save_records
from nsbench.errors import UserError

DOWNLOAD = {"name": "x.tar", "urls": ["https://example.org/x.tar"], "bytes": 900, "md5": "0" * 32}
DESCRIBED = {
    "kind": "files",
    "name": "tiny-c",
    "title": "TINY-C",
    "licence": "none",
    "citation": "none",
    "url": "https://example.org",
    "folder": "TINY-C",
    "generated": "something like it",
    "downloads": [DOWNLOAD],
}
FILES = [{"name": "fog.npy", "shape": [10, 3], "dtype": "uint8"}, {"name": "meta", "bytes": 5}]
TINY = FileSet.model_validate(DESCRIBED | {"files": FILES})
FOLDERS = FileSet.model_validate(DESCRIBED | {"folders": [{"name": "snow", "suffix": ".jpg"}]})


def write(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name == "fog.npy":
            np.save(folder / name, np.zeros((10, 3), np.uint8))
        else:
            (folder / name).write_bytes(bytes(5))


def states(source: FileSet, data: Path) -> list[str]:
    return [entry.state for entry in take_inventory(source, data).entries]


def test_a_set_is_missing_partial_or_complete(tmp_path: Path) -> None:
    assert take_inventory(TINY, tmp_path / "nowhere").state == "missing"
    write(tmp_path / "TINY-C", "meta")
    partial = take_inventory(TINY, tmp_path)
    assert (partial.state, [entry.name for entry in partial.not_whole()]) == ("partial", ["fog.npy"])
    write(tmp_path / "TINY-C", "fog.npy")
    complete = take_inventory(TINY, tmp_path)
    assert (complete.state, complete.bytes) == ("complete", 128 + 30 + 5)
    assert (complete.download_bytes, complete.unpacked_bytes) == (900, 35)


@pytest.mark.parametrize("size", [0, 30, 30 + 4097])
def test_an_array_whose_size_is_not_published_must_have_that_of_its_shape(tmp_path: Path, size: int) -> None:
    write(tmp_path / "TINY-C", "meta")
    (tmp_path / "TINY-C" / "fog.npy").write_bytes(bytes(size))
    assert states(TINY, tmp_path) == ["wrong size", "whole"]


def test_a_file_of_another_size_and_a_folder_in_a_files_place_are_not_whole(tmp_path: Path) -> None:
    write(tmp_path / "TINY-C", "fog.npy")
    (tmp_path / "TINY-C" / "meta").write_bytes(bytes(6))
    assert states(TINY, tmp_path) == ["whole", "wrong size"]
    (tmp_path / "TINY-C" / "meta").unlink()
    (tmp_path / "TINY-C" / "meta").mkdir()
    assert states(TINY, tmp_path) == ["whole", "missing"]


def test_the_data_folder_may_itself_be_the_sets(tmp_path: Path) -> None:
    write(tmp_path, "meta")
    assert take_inventory(TINY, tmp_path).state == "missing"
    write(tmp_path, "fog.npy")
    found = take_inventory(TINY, tmp_path)
    assert (found.state, found.folder) == ("complete", tmp_path)


def test_a_folder_of_images_is_whole_once_it_was_recorded(tmp_path: Path) -> None:
    (tmp_path / "TINY-C" / "snow").mkdir(parents=True)
    assert states(FOLDERS, tmp_path) == ["missing"]
    write(tmp_path / "TINY-C" / "snow", "1.jpg")
    assert states(FOLDERS, tmp_path) == ["not verified"]
    seen = {"snow": Fingerprint(files=1, bytes=5, sha256="0" * 64)}
    save_records(tmp_path, "tiny-c", Records().with_entries(seen, "first use"))
    assert take_inventory(FOLDERS, tmp_path).state == "complete"
    assert take_inventory(FOLDERS, tmp_path).bytes == 5


def test_a_set_that_nsbench_made_is_not_the_official_one(tmp_path: Path) -> None:
    write(tmp_path / "TINY-C", "fog.npy", "meta", "nsbench-set.json")
    assert take_inventory(TINY, tmp_path).state == "made by nsbench"


def test_a_damaged_record_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "checksums", "tiny-c.json")
    with pytest.raises(UserError, match=r"checksums/tiny-c\.json is not a record of checksums: delete it"):
        take_inventory(TINY, tmp_path)


def test_records_survive_a_round_trip_and_a_published_archive_outranks_a_first_use(tmp_path: Path) -> None:
    one, other = (Fingerprint(files=1, bytes=5, sha256=digit * 64) for digit in "01")
    records = Records().with_entries({"b": one, "a": one}, "first use").with_download("x.tar", one)
    save_records(tmp_path, "tiny-c", records)
    assert load_records(tmp_path, "tiny-c") == records
    assert records.with_entries({"a": other}, "first use") == records
    better = records.with_entries({"a": other}, "published archive")
    assert (better.entries["a"].content, better.entries["a"].origin) == (other, "published archive")
    assert better.with_entries({"a": one}, "published archive") == better
    assert better.downloads == records.downloads


def test_the_table_shows_what_is_here_and_how_large_it_is(tmp_path: Path) -> None:
    write(tmp_path / "TINY-C", "meta")
    header, row = format_inventories([take_inventory(TINY, tmp_path)]).splitlines()
    assert header.split("  ")[0] == "name"
    cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
    assert cells == [
        "tiny-c", "TINY-C", "partial, 1 of 2", "5 bytes", "900 bytes", "35 bytes", "nsbench data generate tiny-c",
    ]  # fmt: skip


def test_every_set_is_listed_with_and_without_json(tmp_path: Path) -> None:
    arguments = ["list", "--data", str(tmp_path / "none")]
    text = CliRunner().invoke(data_app, arguments)
    assert text.exit_code == 0
    assert [line.split()[0] for line in text.output.splitlines()[1 : 1 + len(list_manifests())]] == list_manifests()
    parsed = json.loads(CliRunner().invoke(data_app, [*arguments, "--json"]).output)
    assert [one["name"] for one in parsed] == list_manifests()
    by_name = {one["name"]: one for one in parsed}
    assert by_name["digits"]["state"] == "embedded"
    assert by_name["cifar10-c"]["state"] == "missing"
    assert by_name["cifar10-c"]["download_bytes"] == 2918471680
    assert by_name["cifar10-p"]["download_bytes"] is None
    assert by_name["cifar10-p"]["unpacked_bytes"] == 10000 * 3072 * (18 * 31 + 21 + 16)
    assert set(by_name["cifar10"]["not_whole"].values()) == {"missing"}


@pytest.mark.cifar
def test_the_real_cifar10_is_complete() -> None:
    folder = Path(os.environ["NSBENCH_TEST_CIFAR10"])
    assert take_inventory(load_source("cifar10"), folder).state == "complete"
