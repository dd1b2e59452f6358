"""Orders as a CSV file, from a source that breaks off now and then."""

from __future__ import annotations

import csv
import random
import sqlite3
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 100_000

#: At which share of the file the source breaks off: the first time, the second time.
BREAKS = (0.35, 0.8)

_CURRENCIES = ("EUR", "GBP", "USD", "JPY", "CHF")
_BATCH = 1000  # rows


class SourceUnavailableError(ConnectionError):
    """The source broke off in the middle; it may be back in a moment."""


def download(attempt: int, rows: int = ROWS) -> Iterator[str]:
    """Yield the lines of the file, the heading first.

    The lines are the same each time: they are made, not fetched, so that the example needs
    no network. What is real is that they end too early on the first two attempts.

    Raises:
        SourceUnavailableError: in the middle, on the attempts named in :data:`BREAKS`.
    """
    dice = random.Random(2025)
    last = int(rows * BREAKS[attempt]) if attempt < len(BREAKS) else rows
    yield "number,day,currency,amount,checksum"
    for n in range(last):
        day = date(2024, 1, 1) + timedelta(days=dice.randrange(366))
        number = 10_000_000 + n * 37
        amount = f"{dice.randrange(100, 99_999) / 100:.2f}"
        yield f"{number},{day},{dice.choice(_CURRENCIES)},{amount},{checksum(number)}"
    if last < rows:
        raise SourceUnavailableError(f"the source broke off after row {last:,}")


def checksum(number: int) -> int:
    """Return the Luhn digit of a number, as on credit cards."""
    digits = [int(digit) for digit in str(number)][::-1]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[::2]]
    return -(sum(doubled) + sum(digits[1::2])) % 10


class Ledger:
    """Where the orders go: a table in memory, filled in batches."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Any, ...]] = []
        self._database = sqlite3.connect(":memory:")
        self._database.execute("CREATE TABLE orders (number PRIMARY KEY, day, currency, cents)")

    def add(self, row: dict[str, str]) -> None:
        """Check one row and take it in.

        Raises:
            ValueError: the row does not hold.
        """
        number = int(row["number"])
        if checksum(number) != int(row["checksum"]):
            raise ValueError(f"order {number} has a wrong checksum")
        day = date.fromisoformat(row["day"])
        cents = int(Decimal(row["amount"]) * 100)
        self._waiting.append((number, day.isoformat(), row["currency"], cents))
        if len(self._waiting) >= _BATCH:
            self._write()

    def totals(self) -> dict[str, str]:
        """Return what was ordered, by currency."""
        self._write()
        query = "SELECT currency, sum(cents) FROM orders GROUP BY currency ORDER BY currency"
        return {code: f"{cents / 100:,.2f}" for code, cents in self._database.execute(query)}

    def _write(self) -> None:
        self._database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", self._waiting)
        self._waiting.clear()


def rows(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Read the lines as CSV."""
    return iter(csv.DictReader(lines))
