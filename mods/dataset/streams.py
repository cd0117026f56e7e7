"""Files as blocks of whole lines, whatever packs them: plain, gzip or zstd.

A block is some megabytes, so that a file of any size (or a gzip that unpacks to
any size) needs no more memory than a small one.  Damage ends the stream, is
told in `Lines.damage`, and costs only what lies behind it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from isal import isal_zlib

__all__ = ["BLOCK", "Lines"]

#: Bytes of a block, unpacked; a line that is longer is no record, it is cut out and told.
BLOCK = 1 << 23
#: Bytes unpacked at a time.
_PIECE = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Lines:
    """The lines of one file, in blocks that end with a line's end.

    Parameters
    ----------
    path
        A file; its first bytes say how it is packed, not its name.
    progress
        Called with the number of bytes read from the disk.

    Attributes
    ----------
    damage
        What is wrong with the file, "" where nothing is; known at the end.
    too_long
        Line numbers (counted from 1) of lines cut out because of their length, with their
        beginning; an empty line stands in for each.
    """

    def __init__(self, path: Path, progress: Callable[[int], object] = lambda _n: None) -> None:
        self.path = path
        self.damage = ""
        self.too_long: list[tuple[int, bytes]] = []
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        """Yield blocks, bytes; the last line gets the line's end that it may lack."""
        waiting: list[bytes] = []
        size = 0
        number = 1  # of the line with which the next block begins
        skipping = False  # inside of a line that is too long
        for piece in self._pieces():
            if skipping:
                at = piece.find(b"\n")
                if at < 0:
                    continue
                # the end of that line closes the empty line that stands in for it
                piece, skipping = piece[at:], False
            size += len(piece)
            if size < BLOCK:
                waiting.append(piece)
                continue
            # Cut before joining: the whole is copied once.
            end = piece.rfind(b"\n") + 1
            block, rest = b"".join([*waiting, piece[:end]]), piece[end:]
            if not end:
                joined = block + rest
                end = joined.rfind(b"\n") + 1
                block, rest = joined[:end], joined[end:]
            if not block:
                self.too_long.append((number, rest[:200]))
                waiting, size, skipping = [], 0, True
                continue
            yield block
            number += block.count(b"\n")
            waiting, size = [rest], len(rest)
        if skipping or size:
            last = b"".join(waiting)
            yield last if last.endswith(b"\n") else last + b"\n"

    def _pieces(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                start = file.read(4)
                file.seek(0)
                if start.startswith(_GZIP):
                    yield from self._gunzip(file)
                elif start == _ZSTD:
                    yield from self._unzstd(file)
                else:
                    while piece := file.read(_PIECE):
                        self._progress(len(piece))
                        yield piece
        except OSError as error:
            self.damage = f"reading failed ({error.strerror or error})"

    def _gunzip(self, file: BinaryIO) -> Iterator[bytes]:
        # ISA-L takes half of the time of zlib, which is a third of what reading a log costs.
        unpack = isal_zlib.decompressobj(wbits=31)
        packed, size = b"", 0
        while packed := packed or file.read(_PIECE // 4):
            if unpack.eof:  # another member follows, or the padding of some archivers
                packed = packed.lstrip(b"\0")
                if not packed:
                    continue
                unpack = isal_zlib.decompressobj(wbits=31)
            try:
                piece = unpack.decompress(packed, _PIECE)
            except isal_zlib.error as error:  # type: ignore[misc]  # typed as any object
                self.damage = f"damaged gzip ({error})"
                yield from _until_damage(file, size)
                return
            rest = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
            self._progress(len(packed) - len(rest))
            packed = rest
            size += len(piece)
            yield piece
        yield unpack.flush()
        if not unpack.eof:
            self.damage = "truncated gzip"

    def _unzstd(self, file: BinaryIO) -> Iterator[bytes]:
        import pyarrow

        at = 0
        with pyarrow.input_stream(file, compression="zstd") as unpacked:
            while True:
                try:
                    piece = unpacked.read(_PIECE)
                except OSError as error:
                    self.damage = f"damaged or truncated zstd ({error})"
                    return
                if not piece:
                    return
                self._progress(file.tell() - at)
                at = file.tell()
                yield piece


def _until_damage(file: BinaryIO, known: int) -> Iterator[bytes]:
    """Yield what a damaged gzip unpacks to before the damage, behind the first `known` bytes.

    A failing ISA-L gives nothing of the piece in which it fails; zlib, in small steps, does.
    """
    file.seek(0)
    unpack = zlib.decompressobj(wbits=31)
    size = 0
    with suppress(zlib.error):
        while packed := file.read(64):
            while packed:
                if unpack.eof:
                    packed = packed.lstrip(b"\0")
                    unpack = zlib.decompressobj(wbits=31)
                piece = unpack.decompress(packed)
                packed = unpack.unused_data
                size += len(piece)
                if size > known:
                    yield piece[known - size :]
                    known = size
