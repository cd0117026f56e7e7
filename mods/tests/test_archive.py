"""Zips from strangers, through both readers: honest ones are read, liars cost no memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mods.archive import CheckedZip
from mods.dataset.archive import Archive as FeaturesArchive
from mods.errors import DataError, ModelError, ModsError
from mods.models.archive import Archive as ModelArchive

NAME = "ssh/2019/06/01/w01h-s10m.tsv"
MEBIBYTE = 1 << 20

READERS: dict[str, Callable[[Path], CheckedZip]] = {
    "features": FeaturesArchive,
    "model": lambda path: ModelArchive(path, "the bundle"),
}


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return buffer.getvalue()


def claiming(size: int, content: bytes) -> bytes:
    """Return a zip of one member with both its headers changed to claim another size."""
    changed = bytearray(content)
    central = changed.rindex(b"PK\x01\x02")
    changed[22:26] = changed[central + 24 : central + 28] = struct.pack("<I", size)
    return bytes(changed)


@given(
    st.dictionaries(st.text("abc/._-0", min_size=1, max_size=9), st.binary(max_size=99)),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
def test_what_honest_writers_pack_is_read(tmp_path_factory, members, method):
    members = {
        name: content
        for name, content in members.items()
        if not name.startswith("/") and ".." not in name.split("/")
    }
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    path.write_bytes(zipped(members, method))
    for open_archive in READERS.values():
        with open_archive(path) as archive:
            assert set(archive.names) == set(members)
            assert {name: archive.read(name) for name in archive.names} == members


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("claimed", [0, 1, 1000])
def test_a_member_that_unpacks_to_more_than_it_claims_costs_what_it_claims(
    tmp_path, reader, claimed
):
    path = tmp_path / "a.zip"
    path.write_bytes(claiming(claimed, zipped({NAME: bytes(64 * MEBIBYTE)})))
    with READERS[reader](path) as archive:
        tracemalloc.start()
        try:
            with pytest.raises(ModsError, match="damaged"):
                archive.read(NAME)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < MEBIBYTE


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_whose_unpacking_cannot_be_stopped_is_never_unpacked(tmp_path, method):
    """A few hundred bytes of bzip2 become gigabytes before anything can be counted."""
    path = tmp_path / "a.zip"
    path.write_bytes(claiming(1000, zipped({NAME: bytes(64 * MEBIBYTE)}, method)))
    with FeaturesArchive(path) as archive:
        tracemalloc.start()
        try:
            with pytest.raises(DataError) as caught:
                archive.read(NAME)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < MEBIBYTE
    assert str(caught.value) == (
        f"{NAME!r} in {str(path)!r} is damaged: That compression method is not supported, only"
        " stored and deflated members; expected a whole zip. Fetch or write it once more."
    )
    with pytest.raises(ModelError) as refused:
        ModelArchive(path, "the bundle")
    assert str(refused.value) == (
        f"the bundle is refused: it holds {NAME!r} in compression method {method}; expected"
        " stored or deflated members. Use only bundles whose maker you know."
    )


def test_a_bundle_s_members_are_bounded_alone_and_together(tmp_path):
    content = zipped({"a": bytes(60), "b": bytes(60)}, zipfile.ZIP_STORED)
    with pytest.raises(ModelError) as caught:
        ModelArchive(content, "the bundle", max_size=50)
    assert str(caught.value) == (
        "the bundle is refused: it holds 'a' of 60 bytes; expected at most 50 bytes."
        " Use only bundles whose maker you know."
    )
    with pytest.raises(ModelError) as caught:
        ModelArchive(content, "the bundle", max_size=100)
    assert str(caught.value) == (
        "the bundle is refused: it holds 120 bytes once decompressed; expected at most 100 bytes."
        " Use only bundles whose maker you know."
    )
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"is {len(content)} bytes long; expected at most 100"):
        ModelArchive(path, "the bundle", max_size=100)
    assert ModelArchive(content, "the bundle", max_size=120).names == ("a", "b")


def test_a_name_that_is_there_twice_is_read_as_its_last_where_that_is_let(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr("a", "1")
        target.writestr("a", "2")
    with FeaturesArchive(path) as archive:
        assert archive.read("a") == b"2"
    with pytest.raises(ModelError, match="holds the member 'a' twice; expected each name once"):
        ModelArchive(path, "the bundle")
