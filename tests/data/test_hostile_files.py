"""Data files that are crafted, damaged or something else than a file: one short sentence each, and nothing runs."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nsbench.corruptions.kinds.textures import PHOTOGRAPHS, read_textures
from nsbench.data.library.archive import Contents, unpack
from nsbench.data.library.entries import DataFile, DataFolder
from nsbench.data.library.recorded import load_records
from nsbench.data.load import load_dataset
from nsbench.data.npy.arrays import open_array
from nsbench.data.npy.corruptions import open_corruption_files
from nsbench.data.npy.folder import DESCRIPTION
from nsbench.data.rows.pictures import PictureFiles, open_picture_folder
from nsbench.errors import UserError, printable

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def said(error: "pytest.ExceptionInfo[UserError]") -> str:
    """The sentence, which is short, as the command line prints it."""
    sentence = printable(str(error.value))
    assert "\n" not in sentence
    assert len(sentence) < 1200
    return sentence


def npy(header: str) -> bytes:
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode("latin-1")


HEADERS = {
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "objects inside": "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }",
    "huge": "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,), }",
    "huge beside nothing": "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 99999999999999999999), }",
    "negative": "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }",
    "columns first": "{'descr': '|u1', 'fortran_order': True, 'shape': (1, 1), }",
    "of Python 2": "{'descr': '|u1', 'fortran_order': False, 'shape': (10L,), }",
    "a call": "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (1,), }",
    "deep": "[" * 9000,
    "control characters": "\x1b[31m\x07",
    "a huge type": "{'descr': '<U999999999999', 'fortran_order': False, 'shape': (1,), }",
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_crafted_header_is_refused_unread(case: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(npy(HEADERS[case]))
    with pytest.raises(UserError) as error:
        open_array(path, "download it again")
    assert said(error).endswith("download it again.")


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"set": "<b>official</b>"}, "does not say which set"),
        ({"set": "nsbench-c v1\x1b[31m"}, "does not say which set"),
        ({"set": ["x"]}, "does not say which set"),
        ({"set": None}, "does not say which set"),
        ({"seed": "x" * 10**6}, "which seed"),
        ({"seed": -1}, "which seed"),
        ({"images": 10**400}, "says images = 1000"),
        ({"images": True}, "says images = True"),
        ({"severities": ["x" * 10**6]}, "says severities = ['xxx"),
        ({"severities": [[1]]}, "says severities = [[1]]"),
        ({"severities": [True]}, "says severities = [True]"),
    ],
    ids=range(11),
)
def test_a_crafted_description_of_a_generated_set_is_refused(
    says: dict[str, object], words: str, tmp_path: Path
) -> None:
    digits = load_dataset("digits", None)
    described = {"set": "nsbench-c v1 3f9a2c", "data_checksum": digits.checksum, "images": 7, "seed": 0}
    (tmp_path / DESCRIPTION).write_text(json.dumps(described | {"severities": [1]} | says))
    for name in ("fog", "labels"):
        np.save(tmp_path / f"{name}.npy", np.zeros(7, np.uint8))
    with pytest.raises(UserError) as error:
        open_corruption_files(tmp_path, digits, ["fog"])
    assert words in said(error)


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"[]", b'{"files": 3}', b"\xff", b"{}", b'{"set": "x", "files": []}']
)
def test_a_crafted_description_is_one_sentence_for_verify_and_generate(
    content: bytes, tmp_path: Path, nsbench: Command
) -> None:
    folder = tmp_path / "CIFAR-10-C"
    folder.mkdir()
    (folder / DESCRIPTION).write_bytes(content)
    for words in (("verify", "cifar10-c", "--data", str(tmp_path)), ("generate", "digits-c", "--out", str(folder))):
        done = nsbench("data", *words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "is damaged: delete that folder" in done.stderr
    assert [path.name for path in folder.iterdir()] == [DESCRIPTION]


def test_names_of_files_reach_the_terminal_without_control_characters(tmp_path: Path, nsbench: Command) -> None:
    folder = tmp_path / "CIFAR-10-C"
    folder.mkdir()
    files = {"\x07\x1b[31m.npy": "0", "../../outside": "0"}
    (folder / DESCRIPTION).write_text(json.dumps({"set": "\x1b]0;mine\x07", "files": files}))
    (folder / "\x07\x1b[32m").touch()
    (folder / os.fsdecode(b"\xff")).touch()
    done = nsbench("data", "verify", "cifar10-c", "--data", str(tmp_path))
    assert done.returncode == 2
    assert not {"\x07", "\x1b"} & set(done.stdout + done.stderr)
    assert r"outside is missing" in done.stdout
    assert r"not part of CIFAR-10-C: \udcff" in done.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 10**6, "is not a record"),
        (b"{}" + b" " * 2**25, "cannot be read (it has more than"),
        (b"\xff", "is not"),
    ],
    ids=["deep", "huge", "not text"],
)
def test_a_crafted_record_of_checksums_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "checksums").mkdir()
    (tmp_path / "checksums/x.json").write_bytes(content)
    with pytest.raises(UserError) as error:
        load_records(tmp_path, "x")
    assert words in said(error)


def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "checksums").mkdir()
    os.mkfifo(tmp_path / "checksums/x.json")
    with pytest.raises(UserError, match="a pipe or a device, not a file"):
        load_records(tmp_path, "x")


def png(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("1", (width, height)).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("size", [(12_000, 9_000), (3, 100_000)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_decoded(
    size: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / "x.png").write_bytes(png(*size))
    begun = time.monotonic()
    with pytest.raises(UserError, match=r"cannot be decoded \(.* pixels are too many"):
        PictureFiles([tmp_path / "x.png"], 224, 256)[0:1]
    assert time.monotonic() - begun < 2


def test_a_truncated_picture_and_a_circle_of_links_are_named(tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole, "PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:6000])
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    for name in ("cut", "circle"):
        with pytest.raises(UserError, match=rf"{name}\.png cannot be decoded"):
            PictureFiles([tmp_path / f"{name}.png"], 32)[0:1]


def test_a_class_whose_name_no_terminal_can_show_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    with pytest.raises(UserError, match=r"udcff cannot be the name of a class") as error:
        open_picture_folder(tmp_path, 32)
    assert str(error.value).encode()


@pytest.mark.slow
def test_a_photograph_of_frost_that_starts_a_program_is_not_opened(tmp_path: Path) -> None:
    witness = tmp_path / "gs"
    witness.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    witness.chmod(0o755)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\n%%EndComments\n%%EOF\n"
    for name in PHOTOGRAPHS:
        (tmp_path / name).write_bytes(eps)
    code = "import sys; from pathlib import Path; from nsbench.corruptions.kinds.textures import read_textures; "
    code += "read_textures(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "frost1.png cannot be read as an image: fetch it again" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_photographs_of_frost_that_are_no_files_or_damaged_are_refused(tmp_path: Path) -> None:
    first = tmp_path / PHOTOGRAPHS[0]
    for make in (first.mkdir, lambda: os.mkfifo(first), lambda: first.symlink_to(first)):
        make()
        with pytest.raises(UserError, match="is missing"):
            read_textures(tmp_path)
        first.rmdir() if first.is_dir() else first.unlink()
    first.write_bytes(png(400, 400)[:-30])
    with pytest.raises(UserError, match="cannot be read as an image"):
        read_textures(tmp_path)


@pytest.mark.parametrize("kind", ["numbers", "text", "twice"])
def test_a_crafted_parquet_file_is_one_sentence(kind: str, tmp_path: Path) -> None:
    images = pa.array([{"bytes": 5 if kind == "numbers" else "x" if kind == "text" else b"x"}] * 3)
    labels = pa.array([1, 2, 3])
    names = ["img", "label", "img"] if kind == "twice" else ["img", "label"]
    table = pa.table([images, labels, images][: len(names)], names=names)
    for name in ("train", "test"):
        pq.write_table(table, tmp_path / f"{name}-00000-of-00001.parquet")
    with pytest.raises(UserError, match=r"parquet (is damaged|has the columns)") as error:
        load_dataset("cifar10", tmp_path)
    said(error)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_zip_compressed_in_an_unusual_way_is_refused(method: int, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as opened:
        opened.writestr("a.bin", bytes(200))
    content = path.read_bytes()
    path.write_bytes(content[:50] + b"\xff\xff" + content[52:])  # so that the decoder itself would fail
    (tmp_path / "target").mkdir()
    contents = Contents({"a.bin": DataFile(name="a.bin", bytes=200)}, (), None, None, 1000)
    with pytest.raises(UserError, match=r"is not unpacked \(a\.bin is compressed in an unusual way\)"):
        unpack(path, contents, tmp_path / "target", lambda _: None)


@pytest.mark.parametrize("names", [("s/a.jpg", "s/a.jpg/b.jpg"), ("s/a.jpg/b.jpg", "s/a.jpg")])
def test_a_file_and_a_folder_of_one_name_condemn_an_archive(names: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for name in names:
            opened.writestr(name, b"x")
    (tmp_path / "target").mkdir()
    contents = Contents({}, (DataFolder(name="s", suffix=".jpg"),), None, None, 1000)
    with pytest.raises(UserError, match="it has a file and a folder of one name"):
        unpack(path, contents, tmp_path / "target", lambda _: None)


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--data", "~nobody-of-this-name/data"),
        ("verify", "x" * 100_000),
        ("fetch", "cifar10\x1b[31m"),
        ("generate", "x" * 100_000, "--out", "OUT"),
        ("generate", "digits-c", "--out", "OUT", "--corruptions", "x" * 100_000),
        ("generate", "digits-c", "--out", "OUT", "--severities", "1" * 100_000),
        ("generate", "digits-c", "--out", "OUT", "--limit", "1" + "0" * 300),
        ("generate", "digits-c", "--out", "OUT/" + "n" * 5000),
        ("generate", "digits-c", "--out", "FILE"),
        ("list", "--data", "n" * 5000),
    ],
    ids=range(10),
)
def test_an_absurd_argument_is_one_short_sentence(arguments: tuple[str, ...], tmp_path: Path, nsbench: Command) -> None:
    (tmp_path / "FILE").touch()
    places = [word.replace("OUT", str(tmp_path / "out")).replace("FILE", str(tmp_path / "FILE")) for word in arguments]
    done = nsbench("data", *places)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert len(done.stderr) < 1200
    assert "\x1b" not in done.stderr
    assert not (tmp_path / "out").exists()
