"""The Mandelbrot set, pixel by pixel in plain Python, and a PNG of it."""

from __future__ import annotations

import math
import struct
import zlib
from typing import NamedTuple

WIDTH, HEIGHT = 640, 400
TILE = 40  # pixels
DEPTH = 300  # iterations after which a point counts as inside

INSIDE = (8, 10, 24)


class Place(NamedTuple):
    """Where to look: the centre, and how wide the picture is there."""

    name: str
    centre: complex
    width: float


class Tile(NamedTuple):
    """A square of the picture, in pixels from its upper left corner."""

    left: int
    top: int


PLACES = (
    Place("Seahorse Valley", -0.7436 + 0.1318j, 0.012),
    Place("Elephant Valley", 0.2817 + 0.0103j, 0.016),
    Place("the Triple Spiral", -0.0884 + 0.6543j, 0.012),
    Place("the whole Mandelbrot set", -0.65 + 0j, 3.6),
)


class Picture:
    """A picture that is drawn tile by tile."""

    def __init__(self, place: Place, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.place = place
        self.width = width
        self.height = height
        self._pixels = bytearray(3 * width * height)

    def tiles(self) -> list[Tile]:
        """Return the tiles, those in the middle of the picture first."""
        middle = complex(self.width - TILE, self.height - TILE) / 2
        corners = [
            Tile(left, top)
            for top in range(0, self.height, TILE)
            for left in range(0, self.width, TILE)
        ]
        return sorted(corners, key=lambda tile: abs(complex(*tile) - middle))

    def draw(self, tile: Tile) -> None:
        """Work out every pixel of one tile."""
        for y in range(tile.top, min(tile.top + TILE, self.height)):
            for x in range(tile.left, min(tile.left + TILE, self.width)):
                at = 3 * (y * self.width + x)
                self._pixels[at : at + 3] = bytes(colour(escape(self._point(x, y))))

    def png(self) -> bytes:
        """Return what is drawn so far as a PNG file."""
        stride = 3 * self.width
        # Filter 1 (each pixel as its difference to the one before) packs smooth colours well.
        rows = (self._pixels[n : n + stride] for n in range(0, len(self._pixels), stride))
        body = b"".join(b"\x01" + _differences(row) for row in rows)
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        return b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                _chunk(b"IHDR", header),
                _chunk(b"IDAT", zlib.compress(body, 9)),
                _chunk(b"IEND", b""),
            )
        )

    def _point(self, x: int, y: int) -> complex:
        step = self.place.width / self.width
        return self.place.centre + complex(x - self.width / 2, self.height / 2 - y) * step


def escape(point: complex) -> float | None:
    """Return after how many steps the point escapes, smoothed; None when it stays inside."""
    z = 0j
    for n in range(DEPTH):
        z = z * z + point
        if abs(z) > 8:
            return n + 1 - math.log2(math.log2(abs(z)))
    return None


def colour(steps: float | None) -> tuple[int, int, int]:
    """Return a colour for a number of steps: from night blue over gold to white, and round."""
    if steps is None:
        return INSIDE
    turn = 0.34 * math.sqrt(max(steps, 0.0)) * math.tau / 2
    red, green, blue = (0.5 - 0.5 * math.cos(turn + shift) for shift in (-0.5, 0.0, 0.7))
    return int(255 * red), int(235 * green), int(60 + 180 * blue)


def _differences(row: bytearray) -> bytes:
    return bytes((byte - before) & 0xFF for byte, before in zip(row, b"\0\0\0" + row, strict=False))


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
