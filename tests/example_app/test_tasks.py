"""What the example's tasks really do, without Celery."""

from __future__ import annotations

import struct
import zlib
from itertools import islice

import pytest

from example_app.work import fractal, library, orders, programs, talk
from example_app.work.backup import Backup, DamagedBackupError

# The library


def test_the_library_is_that_of_this_python_without_its_tests_and_what_was_installed_later():
    files = library.source_files()
    assert library.root() / "json" / "decoder.py" in files
    assert not [path for path in files if {"site-packages", "test"} & set(path.parts)]


def test_a_file_is_counted(tmp_path):
    path = tmp_path / "one.py"
    path.write_text("import os\n\nclass A:\n    def f(self): ...\n    async def g(self): ...\n")
    assert library.count(path) == {
        "files": 1,
        "lines": 5,
        "classes": 1,
        "functions": 2,
        "imports": 1,
    }


@pytest.mark.parametrize("source", [b"def", b"\xff", b"# coding: no-such-thing\n", b"\0"])
def test_a_file_that_is_no_python_is_counted_and_searched_all_the_same(tmp_path, source):
    path = tmp_path / "broken.py"
    path.write_bytes(source)
    assert library.count(path)["unreadable"] == 1
    assert list(library.hits(path, "word")) == []


def test_a_hit_says_where_and_as_what(tmp_path):
    path = tmp_path / "one.py"
    path.write_text('word = 1\n# a word\nx = """some\n  words\n"""\n')
    assert list(library.hits(path, "word")) == [
        (1, "code", "word = 1"),
        (2, "comment", "# a word"),
        (4, "text", "words"),
    ]


# What talks


def test_a_model_talks_on_as_it_has_read_and_the_same_each_time(tmp_path):
    path, broken = tmp_path / "one.py", tmp_path / "broken.py"
    path.write_text('"""one two three one"""\ndef f():\n    """two three"""\n')
    broken.write_text("def")
    model = talk.Model()
    model.read(path)
    model.read(broken)
    said = list(model.talk("one", 7))
    assert said == ["one", "two", "three", "one", "two", "three", "one"]
    # From a word that it has never read it goes on with any other.
    strange = list(model.talk("four", 5))
    assert strange[0] == "four"
    assert set(strange[1:]) <= {"one", "two", "three"}
    assert strange == list(model.talk("four", 5))


# The fractal


def test_points_inside_never_escape_and_points_outside_do():
    assert fractal.escape(0j) is None
    assert fractal.escape(-1 + 0j) is None
    assert fractal.escape(1 + 1j) < fractal.escape(0.3 + 0.5j + 0.1)


def test_the_tiles_cover_the_picture_once():
    picture = fractal.Picture(fractal.PLACES[-1], width=120, height=70)
    size = fractal.TILE
    pixels = [
        (x, y)
        for left, top in picture.tiles()
        for x in range(left, min(left + size, 120))
        for y in range(top, min(top + size, 70))
    ]
    assert len(pixels) == len(set(pixels)) == 120 * 70


def test_the_picture_is_a_png_of_the_colours_that_were_drawn():
    picture = fractal.Picture(fractal.PLACES[-1], width=60, height=40)
    for tile in picture.tiles():
        picture.draw(tile)
    (width, height), rows = read_png(picture.png())
    assert (width, height) == (60, 40)
    assert rows[20][3 * 30 : 3 * 31] == bytes(fractal.INSIDE)
    assert len({bytes(row) for row in rows}) > 10


def read_png(data):
    """Read what the example writes: eight bits, RGB, filter 1 in each row."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    size = struct.unpack(">II", chunks[b"IHDR"][:8])
    flat = zlib.decompress(chunks[b"IDAT"])
    stride = 1 + 3 * size[0]
    rows = [bytearray(flat[n : n + stride]) for n in range(0, len(flat), stride)]
    assert {row[0] for row in rows} == {1}
    for row in rows:
        del row[0]
        for n in range(3, len(row)):
            row[n] = (row[n] + row[n - 3]) & 0xFF
    return size, rows


# The program


def test_the_program_that_is_written_passes_its_checks():
    functions = [programs.write_function(each) for each in programs.SPECIFICATION]
    checks = [programs.write_checks(each) for each in programs.SPECIFICATION]
    verdict = programs.run(programs.assemble(functions, checks))
    assert verdict == (True, f"{len(functions)} functions, all checks passed")


def test_a_program_with_a_fault_does_not():
    wanted = programs.SPECIFICATION[0]
    wrong = programs.write_function(wanted).replace("+ 32", "+ 33")
    verdict = programs.run(programs.assemble([wrong], [programs.write_checks(wanted)]))
    assert not verdict.passed
    assert "AssertionError" in verdict.output


def test_a_program_that_does_not_end_is_ended():
    assert programs.run("while True: pass", 0.2) == (False, "still running after 0.2 s")


def test_a_mutant_differs_from_the_function_in_one_place():
    assert programs.mutants("def f(x):\n    return x + 1") == [
        "def f(x):\n    return x - 1",
        "def f(x):\n    return x * 1",
        "def f(x):\n    return x / 1",
        "def f(x):\n    return x ** 1",
        "def f(x):\n    return x + 2",
        "def f(x):\n    return x + -1",
    ]


def test_the_checks_run_in_a_python_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "math.py").write_text("raise RuntimeError('not this one')")
    assert programs.run("from math import isclose") == (True, "")


# The orders


def test_the_source_breaks_off_twice_and_then_holds():
    for attempt, share in enumerate(orders.BREAKS):
        lines = orders.download(attempt, rows=100)
        assert len(list(islice(lines, 1 + int(100 * share)))) == 1 + int(100 * share)
        with pytest.raises(orders.SourceUnavailableError, match="after row"):
            next(lines)
    assert len(list(orders.download(len(orders.BREAKS), rows=100))) == 101


def test_each_download_is_the_same():
    assert list(orders.download(5, rows=50)) == list(orders.download(9, rows=50))


def test_rows_are_summed_by_currency():
    ledger = orders.Ledger()
    head, _, _, *_ = lines = list(orders.download(5, rows=1500))
    for row in orders.rows(iter(lines)):
        ledger.add(row)
    due = sum(float(line.split(",")[3]) for line in lines[1:] if ",EUR," in line)
    assert head == "number,day,currency,amount,checksum"
    assert ledger.totals()["EUR"] == f"{due:,.2f}"


def test_a_wrong_checksum_is_refused():
    row = {"number": "10000000", "day": "2024-01-01", "currency": "EUR", "amount": "1.00"}
    good = orders.checksum(10_000_000)
    with pytest.raises(ValueError, match="checksum"):
        orders.Ledger().add(row | {"checksum": str((good + 1) % 10)})


# The backup


@pytest.fixture
def backup(tmp_path):
    backup = Backup(tmp_path)
    for n in range(10):
        path = tmp_path / f"{n}.py"
        path.write_text(f"print({n})\n" * 100 * (n + 1))
        backup.add(path)
    return backup


def test_a_backup_holds_what_was_packed(backup):
    backup.close()
    assert [backup.verify(name) for name in backup.names()] == [900 * n for n in range(1, 11)]


def test_one_damaged_byte_is_found(backup):
    backup.damage()
    backup.close()
    with pytest.raises(DamagedBackupError, match=r"9\.py is damaged"):
        [backup.verify(name) for name in backup.names()]
    assert backup.verify("0.py") == 900
