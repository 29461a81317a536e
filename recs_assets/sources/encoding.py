"""The text of a file as UTF-8, whatever it was written in."""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recs_assets.schema import SourceError

# How files begin that were renamed and not unpacked.
_PACKED = {
    b"\x1f\x8b": "a gzip file (.gz)",
    b"PK\x03\x04": "a zip file or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"PAR1": "a Parquet file",
}


def check_encoding(path: Path, name: str) -> None:
    """Refuse UTF-16 by its byte order mark and anything else that is not UTF-8, by line."""
    line = 1
    rest = b""
    with path.open("rb") as file:
        start = file.read(4)
        for magic, what in _PACKED.items():
            if start.startswith(magic):
                raise SourceError(
                    f"{name}: it is {what}, not text; unpack or export it, or correct its name."
                )
        # By its byte order mark, or by every other byte being zero.
        unmarked = len(start) == 4 and 0 in (start[0], start[1]) and start[2:].count(0)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff") or start == b"\x00\x00\xfe\xff" or unmarked:
            raise SourceError(f"{name}: it is written in UTF-16 or UTF-32; save it as UTF-8.")
        file.seek(0)
        offset = 0
        while block := file.read(1 << 22):
            data = rest + block
            try:
                data.decode("utf-8")
                rest = b""
            except UnicodeDecodeError as error:
                # A character may straddle two blocks: only that is carried over.
                if error.reason != "unexpected end of data" or error.end != len(data):
                    bad = error.start
                    bad_line = line + data[:bad].count(b"\n")
                    raise SourceError(
                        f"{name} line {bad_line}: byte {offset - len(rest) + bad + 1} of the "
                        f"file (0x{data[bad]:02x}) is not UTF-8; save the file as UTF-8 (it may be Latin-1)."
                    ) from None
                rest = data[error.start :]
                data = data[: error.start]
            line += data.count(b"\n")
            offset += len(block)
    if rest:
        raise SourceError(
            f"{name} line {line}: the file ends inside a character; it was cut off, copy it again."
        )


@contextmanager
def transcode(path: Path, name: str, encoding: str) -> Iterator[Path]:
    """The file itself if it is UTF-8, or a copy in UTF-8.

    Args:
        path: of the file.
        name: of the file, for errors.
        encoding: in which it is declared to be, as `codecs` calls it.

    Raises:
        SourceError: it is not written so.
    """
    if encoding == "utf-8":
        check_encoding(path, name)
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "utf8"
        decoder = codecs.getincrementaldecoder(encoding)()
        line = 1
        with path.open("rb") as packed, copy.open("wb") as out:
            start = packed.read(4)
            for magic, what in _PACKED.items():
                if start.startswith(magic):
                    raise SourceError(
                        f"{name}: it is {what}, not text; unpack or export it, or correct its name."
                    )
            packed.seek(0)
            while True:
                block = packed.read(1 << 22)
                try:
                    text = decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    bad = error.object[error.start]
                    line += error.object[: error.start].decode(encoding, "ignore").count("\n")
                    raise SourceError(
                        f"{name} line {line}: a byte (0x{bad:02x}) is no character in {encoding}, in which the "
                        "file is declared to be; declare the encoding in which it was saved."
                    ) from None
                if not block and not text:
                    break
                line += text.count("\n")
                out.write(text.encode("utf-8"))
        yield copy
