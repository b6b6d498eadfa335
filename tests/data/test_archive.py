"""Hostile and damaged archives: nothing escapes, nothing grows, and one sentence says why."""

import contextlib
import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsbench.data.library import archive as archive_module
from nsbench.data.library.archive import Contents, Unpacked, unpack
from nsbench.data.library.entries import DataFile, DataFolder
from nsbench.errors import UserError

CONTENT = bytes(range(200))
LIST = Contents(
    files={"a.bin": DataFile(name="a.bin", bytes=len(CONTENT)), "b.bin": DataFile(name="b.bin", bytes=len(CONTENT))},
    folders=(DataFolder(name="snow", suffix=".jpg", count=3),),
    inside="set",
    into=None,
    most_bytes=1000,
)

Add = Callable[[tarfile.TarFile], None]


def file(name: str, content: bytes = CONTENT, **changed: object) -> Add:
    """A member; `changed` are fields of its header."""

    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        for key, value in changed.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(content) if info.isreg() else None)

    return add


def tar(path: Path, *members: Add, mode: str = "w", **options: object) -> Path:
    with tarfile.open(path, mode, **options) as opened:  # type: ignore[call-overload] # a mode of any kind
        for add in members:
            add(opened)
    return path


def zipped(path: Path, **members: bytes | zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(*((content, CONTENT) if isinstance(content, zipfile.ZipInfo) else (name, content)))
    return path


def unpacked(path: Path, contents: Contents = LIST) -> Unpacked:
    target = path.parent / "target"
    target.mkdir()
    return unpack(path, contents, target, lambda _: None)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(path: Path, reason: str, contents: Contents = LIST) -> None:
    """The archive is refused for this reason, and nothing is written but below the target."""
    before = tree(path.parent)
    with pytest.raises(UserError, match=reason):
        unpacked(path, contents)
    after = {name: content for name, content in tree(path.parent).items() if not name.startswith("target/")}
    assert after == before
    assert not any(found.is_symlink() for found in path.parent.rglob("*"))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_listed_files_are_written_and_others_left_out(tmp_path: Path, mode: str, form: int) -> None:
    members = [
        file("set/a.bin"),
        file("./set/b.bin"),
        file("set/README"),
        file("a.bin"),
        file("set/snow/1/x, y.jpg", b"1"),
    ]
    found = unpacked(tar(tmp_path / "x", *members, mode=mode, format=form))
    assert tree(tmp_path / "target") == {"a.bin": CONTENT, "b.bin": CONTENT, "snow/1/x, y.jpg": b"1"}
    assert found.left_out == ["set/README", "a.bin"]
    assert found.files["a.bin"].bytes == len(CONTENT)
    assert len(found.folders["snow"]) == 1


def test_a_zip_is_unpacked_alike(tmp_path: Path) -> None:
    found = unpacked(
        zipped(tmp_path / "x", **{"set/": b"", "set/a.bin": CONTENT, "set/snow/x.jpg": b"1", "set/R": b""})
    )
    assert tree(tmp_path / "target") == {"a.bin": CONTENT, "snow/x.jpg": b"1"}
    assert found.left_out == ["set/R"]


def test_an_archive_can_go_into_a_folder_of_the_set(tmp_path: Path) -> None:
    contents = Contents({}, (DataFolder(name="noise", suffix=".mp4"),), None, "noise", 1000)
    unpacked(tar(tmp_path / "x", file("./n01/1.mp4", b"1"), file("n01/1.txt", b"2")), contents)
    assert tree(tmp_path / "target") == {"noise/n01/1.mp4": b"1"}


HOSTILE_NAMES = [
    "/etc/passwd",
    "//etc/passwd",
    "../a.bin",
    "set/../../a.bin",
    "set/..",
    "set/./a.bin",
    "set//a.bin",
    "..",
    "set\\a.bin",
    "..\\..\\a.bin",
    "C:/a.bin",
    "c:a.bin",
    "set/a.bin\nset/b.bin",
    "set/\x1b[31m",
    "set/" + "x" * 256,
    "/".join("abcdefghijklmnopq"),
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_leads_elsewhere_condemns_a_tar(tmp_path: Path, name: str) -> None:
    refused(tar(tmp_path / "x.tar", file("set/a.bin"), file(name)), "is not unpacked .the name .* is not allowed")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_leads_elsewhere_condemns_a_zip(tmp_path: Path, name: str) -> None:
    refused(zipped(tmp_path / "x.zip", **{name: b"1"}), "the name .* is not allowed")


def test_a_nul_in_a_name_condemns_either(tmp_path: Path) -> None:
    pax = file("set/a.bin", pax_headers={"path": "set/a.bin\0.jpg"})
    refused(tar(tmp_path / "x.tar", pax, format=tarfile.PAX_FORMAT), "the name .* is not allowed")
    content = zipped(tmp_path / "y.zip", **{"set/aXbin": b"1"}).read_bytes().replace(b"aXbin", b"a\0bin")
    (tmp_path / "y.zip").write_bytes(content)
    (tmp_path / "target").rmdir()
    refused(tmp_path / "y.zip", "the name .* is not allowed")


def test_bytes_that_are_no_text_condemn_a_tar(tmp_path: Path) -> None:
    refused(tar(tmp_path / "x.tar", file("set/\udcff"), format=tarfile.GNU_FORMAT), "the name .* is not allowed")


@pytest.mark.parametrize(
    ("kind", "stated"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
        (b"Z", "file of an unknown kind"),
    ],
)
def test_anything_but_files_and_folders_condemns_a_tar(tmp_path: Path, kind: bytes, stated: str) -> None:
    odd = file("set/b.bin", b"", type=kind, linkname="../../outside")
    refused(tar(tmp_path / "x.tar", file("set/a.bin"), odd), f"set/b.bin is a {stated}")


def test_a_link_that_a_later_file_would_follow_condemns_a_tar(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    link = file("set/snow", b"", type=tarfile.SYMTYPE, linkname=str(tmp_path / "outside"))
    refused(tar(tmp_path / "x.tar", link, file("set/snow/x.jpg", b"1")), "set/snow is a symbolic link")


def test_a_sparse_file_condemns_a_tar(tmp_path: Path) -> None:
    sparse = file("set/a.bin", pax_headers={"GNU.sparse.size": "200", "GNU.sparse.map": "0,10"})
    refused(tar(tmp_path / "x.tar", sparse, format=tarfile.PAX_FORMAT), "set/a.bin is a|damaged")


@pytest.mark.parametrize("kind", [0o120000, 0o010000, 0o020000])
def test_anything_but_files_and_folders_condemns_a_zip(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("set/a.bin")
    info.external_attr = (kind | 0o777) << 16
    refused(zipped(tmp_path / "x.zip", odd=info), "set/a.bin is a link, a device or a pipe")


def test_an_encrypted_file_condemns_a_zip(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path / "x.zip", **{"set/a.bin": CONTENT}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    refused(tmp_path / "x.zip", "set/a.bin is encrypted")


@pytest.mark.parametrize("second", ["set/a.bin", "./set/a.bin", "SET/A.BIN", "set/a.bin/"])
def test_a_name_that_comes_twice_condemns_the_archive(tmp_path: Path, second: str) -> None:
    refused(tar(tmp_path / "x.tar", file("set/a.bin"), file(second)), "comes twice")


@pytest.mark.parametrize("size", [0, 199, 201, 10**6])
def test_another_size_than_the_list_has_condemns_the_archive(tmp_path: Path, size: int) -> None:
    refused(
        tar(tmp_path / "x.tar", file("set/a.bin", bytes(size))), "set/a.bin has .* bytes, not those of the manifest"
    )
    (tmp_path / "target").rmdir()
    refused(zipped(tmp_path / "x.zip", **{"set/a.bin": bytes(size)}), "bytes, not those of the manifest")


def test_a_zip_that_lies_about_a_size_writes_no_more_than_it_states(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", **{"set/a.bin": bytes(10**6)})
    content = path.read_bytes().replace(struct.pack("<I", 10**6), struct.pack("<I", 200))
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        unpacked(path)
    assert sum(len(found) for found in tree(tmp_path / "target").values()) <= 200


def test_more_files_than_a_folder_has_condemn_the_archive(tmp_path: Path) -> None:
    many = [file(f"set/snow/{k}.jpg", b"1") for k in range(4)]
    refused(tar(tmp_path / "x.tar", *many), "it holds more than 3 files of snow")


def test_more_bytes_than_a_folder_may_have_condemn_the_archive(tmp_path: Path) -> None:
    many = [file(f"set/snow/{k}.jpg", bytes(400)) for k in range(3)]
    refused(tar(tmp_path / "x.tar", *many), "it holds more than 1,000 bytes")


def test_a_bomb_outside_the_list_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    header = tarfile.TarInfo("set/README")
    header.size = 2**40
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(header.tobuf() + bytes(2**22))
    refused(path, "it holds much that is not in the manifest")


def test_many_small_files_outside_the_list_condemn_the_archive(tmp_path: Path) -> None:
    refused(tar(tmp_path / "x.tar", *[file(f"{k}", b"") for k in range(1001)]), "much that is not in the manifest")


def test_many_folders_condemn_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "_MOST_ENTRIES", 20)
    many = [file(f"{k}", b"", type=tarfile.DIRTYPE) for k in range(21)]
    refused(tar(tmp_path / "x.tar", *many), "it has more than 20 entries")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_a_gigabyte_does_not_fill_the_memory(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.size, header.type = 2**30, kind
    path = tmp_path / "x.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(8):
            out.write(bytes(2**20))
    tracemalloc.start()
    refused(path, "it continues where it should end")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


def test_a_negative_size_condemns_a_tar(tmp_path: Path) -> None:
    header = tarfile.TarInfo("set/README")
    content = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    content[124:136] = b"\xff" * 11 + b"\x00"  # -256 in the base-256 form
    content[148:156] = b" " * 8
    content[148:156] = f"{sum(content):06o}\0 ".encode()
    (tmp_path / "x.tar").write_bytes(content + bytes(10240))
    refused(tmp_path / "x.tar", "README has a size below 0")


@pytest.mark.parametrize("damage", ["truncated", "no archive", "empty", "a web page", "crc"])
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_a_damaged_archive_is_one_sentence(tmp_path: Path, damage: str, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    noise = np.random.default_rng(1).bytes(200)
    if kind == "zip":
        zipped(path, **{"set/a.bin": noise})
    else:
        tar(path, file("set/a.bin", noise), mode="w:gz" if kind == "tar.gz" else "w")
    content = bytearray(path.read_bytes())
    if damage == "crc" and kind == "tar":
        content[0] ^= 0xFF  # a tar has a checksum of its headers alone
    elif damage == "crc":
        content[len(content) // 4] ^= 0xFF
    changed = {
        "truncated": content[:600] if kind == "tar" else content[: len(content) // 2],
        "no archive": b"\x00\x01" * 5000,
        "empty": b"",
        "a web page": b"<html>please log in</html>",
    }
    path.write_bytes(changed.get(damage, content))
    refused(path, rf"x.{kind} is (damaged or no tar or zip archive|not unpacked)")


@given(
    st.lists(st.sampled_from(["..", ".", "", "a", "set", "a.bin", "snow", "x.jpg", "/", "\\", "~", "CON"]), max_size=8)
)
def test_whatever_the_name_nothing_is_written_outside(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("x")
    path = tar(folder / "x.tar", file("/".join(parts) or "a"))
    with contextlib.suppress(UserError):
        unpacked(path)
    assert {found.parts[0] for found in map(Path, tree(folder))} <= {"x.tar", "target"}
    assert all(name == "a.bin" or name.startswith("snow/") for name in tree(folder / "target"))
