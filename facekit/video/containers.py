"""Find out from a video file's structure whether its end is missing.

The number of frames that a container announces is an estimate: trimming without re-encoding hides
frames, and Matroska and FLV compute it from a duration and a frame rate. What containers do state
exactly is the length of their parts in bytes. A part that ends beyond the file's end was cut off.

Structures: ISO/IEC 14496-12 (MP4, MOV, 3GP), RIFF (AVI), EBML (Matroska, WebM), FLV, ASF (WMV), and
MPEG program and transport streams.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = 0x18538067  # the EBML element that holds a whole film
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_SIZE_OFFSET = 40  # of the file's size behind the start of the properties
ASF_FLAGS_OFFSET = 88
PACKET_START = b"\0\0\1"  # of MPEG program streams
PACK_HEADER, STREAM_END = 0xBA, b"\xb9"
TAIL_BYTES = 4096  # zeros at a file's end; a download that stopped may have reserved its place


def find_missing_bytes(path: str | Path) -> int:
    """Return how many bytes a video file lacks at its end.

    Args:
        path: The file.

    Returns:
        At least 1 if a part of the file was cut off, 0 if it is whole or its container does not
        state its length.

    Raises:
        OSError: If the file cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "cut.avi")
        >>> _ = path.write_bytes(b"RIFF" + (100).to_bytes(4, "little") + b"AVI ")
        >>> find_missing_bytes(path)
        96
    """
    with open(path, "rb") as file:  # noqa: PTH123 (the path may not be valid UTF-8)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(512)
        for fits, measure in FORMATS:
            if fits(head):
                return max(measure(file, head) - size, 0)
    return 0


def is_end_empty(path: str | Path) -> bool:
    """Return whether a file ends in zeros only, as a download does that stopped early.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "stopped.mp4")
        >>> _ = path.write_bytes(bytes(5000))
        >>> is_end_empty(path)
        True
    """
    with open(path, "rb") as file:  # noqa: PTH123
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - TAIL_BYTES, 0))
        return size > TAIL_BYTES and not any(file.read())


# === Where a file should end, by container ===


def _measure_boxes(file: BinaryIO, head: bytes) -> int:
    """MP4 and its kin: boxes, one after another, of which each begins with its length and name."""
    end = 0
    while True:
        file.seek(end)
        box = file.read(16)
        if len(box) < 8:
            return end
        length = int.from_bytes(box[:4], "big")
        if length == 1 and len(box) == 16:
            length = int.from_bytes(box[8:], "big")
        if length < 8 or not all(32 <= byte < 127 or byte == 0xA9 for byte in box[4:8]):
            return end  # 0: the box reaches to the end; else no box: something was appended
        end += length


def _measure_riff(file: BinaryIO, head: bytes) -> int:
    """AVI: one RIFF list or more; above 1 GB, several."""
    end = 0
    while True:
        file.seek(end)
        start = file.read(8)
        if len(start) < 8 or start[:4] != b"RIFF":
            return end
        end += 8 + int.from_bytes(start[4:], "little")


def _measure_matroska(file: BinaryIO, head: bytes) -> int:
    """Matroska and WebM: a header and a segment; a live stream's segment has no length."""
    position = 0
    while position < len(head):
        identifier, length = _read_ebml_number(head, position, keep_marker=True)
        content, known = _read_ebml_number(head, position + length)
        start = position + length + known
        is_unknown = content == (1 << 7 * known) - 1
        if not length or not known or is_unknown:
            return 0
        if identifier == SEGMENT:
            return start + content
        position = start + content
    return 0


def _read_ebml_number(data: bytes, start: int, keep_marker: bool = False) -> tuple[int, int]:
    """Return a number and how many bytes it takes; (0, 0) if there is none."""
    first = data[start] if start < len(data) else 0
    length = 9 - first.bit_length()
    if not first or start + length > len(data):
        return 0, 0
    number = int.from_bytes(data[start : start + length], "big")
    return (number if keep_marker else number - (1 << 7 * length)), length


def _measure_flv(file: BinaryIO, head: bytes) -> int:
    """FLV: tags, one after another, with their length before and behind them."""
    end = int.from_bytes(head[5:9], "big") + 4
    while True:
        file.seek(end)
        tag = file.read(11)
        if len(tag) == 0 or tag[0] & 0x1F not in (8, 9, 18):  # sound, picture, text
            return end
        end += 15 + int.from_bytes(tag[1:4], "big")


def _measure_asf(file: BinaryIO, head: bytes) -> int:
    """WMV: the properties in the header state the file's size, but not in a live stream."""
    file.seek(0)
    header = file.read(65_536)
    start = header.find(ASF_PROPERTIES)
    if start < 0 or len(header) < start + ASF_FLAGS_OFFSET + 4:
        return 0
    is_live = header[start + ASF_FLAGS_OFFSET] & 1
    return 0 if is_live else struct.unpack_from("<Q", header, start + ASF_SIZE_OFFSET)[0]


def _measure_packets(file: BinaryIO, head: bytes) -> int:
    """MPEG transport stream: packets of one length; without any other, in .m2ts 4 bytes more."""
    packet = 188 if head[188:189] == b"G" else 192
    size = file.seek(0, os.SEEK_END)
    return -(-size // packet) * packet


def _measure_program_stream(file: BinaryIO, head: bytes) -> int:
    """MPEG program stream: pack headers, and packets that each state their length."""
    end = 0
    while True:
        file.seek(end)
        start = file.read(14)
        if not start or not start[:4].startswith(PACKET_START[: len(start)]):
            return end  # whole; or no packet: something was appended
        if len(start) < 6 or (start[3] == PACK_HEADER and len(start) < 12):
            return end + len(start) + 1 if start[3:4] != STREAM_END else end
        if start[3] == PACK_HEADER:
            is_mpeg_2 = start[4] & 0xC0 == 0x40
            end += 14 + (start[-1] & 7) if is_mpeg_2 else 12
        elif start[3] > PACK_HEADER:
            end += 6 + int.from_bytes(start[4:6], "big")
        else:
            return end  # the stream's end


FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO, bytes], int]], ...] = (
    (lambda head: head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"), _measure_boxes),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ", _measure_riff),
    (lambda head: head[:4] == EBML, _measure_matroska),
    (lambda head: head[:3] == b"FLV", _measure_flv),
    (lambda head: head[:16] == ASF_HEADER, _measure_asf),
    (lambda head: head[:4] == PACKET_START + bytes([PACK_HEADER]), _measure_program_stream),
    (lambda head: head[:1] == b"G" == head[188:189], _measure_packets),
    (lambda head: head[4:5] == b"G" == head[196:197], _measure_packets),
)
