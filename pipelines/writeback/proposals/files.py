"""Checks a person's CSV file strictly: what is not plainly a table is refused, with the line of the error.

A quote that is never closed swallows the rows after it, and DuckDB's own reader then returns fewer rows without an
error, in strict mode too (seen with DuckDB 2.0.0). So every file is checked here first, line by line.
Not here: what the cells mean.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from pipelines.wording import counted

# REDCap servers cut bodies above 16 MB, so no cell can be longer; an open quote is not followed any further.
CELL_LIMIT = 16_000_000
# DuckDB's reader accepts rows of up to 2,000,000 bytes; a character has at most four. Longer rows are read here.
ROW_LIMIT = 500_000
ENCODING = "utf-8-sig"
_LINE_ENDS = "\r\n"


class Unreadable(Exception):
    """A submission cannot be read at all; the text says why, without any of its values."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file that was checked to its end and is a table."""

    path: Path
    columns: tuple[str, ...] = field(repr=False)
    """Not in the repr: in a file without a header these are a participant's values."""
    delimiter: str
    rows: int
    """Rows below the header, without blank lines and the rows of delimiters only that spreadsheets write at the end."""
    plain: bool
    """Whether the header is the first line, all rows have the same line end and none is too long for DuckDB."""
    blank_rows: bool = False
    """Whether there are rows of delimiters only."""


def check_csv(path: Path) -> CsvFile:
    """Return the file's columns and number of rows. Raises Unreadable, with the line, if it is no table."""
    try:
        with path.open(encoding=ENCODING, newline="") as file:
            return _checked(path, file)
    except UnicodeDecodeError:
        problem = f"it is not UTF-8 text (line {_undecodable_line(path)}). Save it as CSV UTF-8."
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})."
    # Raised out here: the decoding error quotes the file.
    raise Unreadable(problem)


def read_rows(file: CsvFile) -> Iterator[list[str]]:
    """Yield the rows below the header of a file that was checked."""
    csv.field_size_limit(max(csv.field_size_limit(), CELL_LIMIT))
    with file.path.open(encoding=ENCODING, newline="") as lines:
        reader = csv.reader(lines, delimiter=file.delimiter, strict=True)
        rows = (row for row in reader if any(row) and (len(row) > 1 or row[0].strip()))
        next(rows, None)
        yield from rows


def _checked(path: Path, lines: TextIO) -> CsvFile:
    """Check each line."""
    numbered = enumerate(lines, start=1)
    header = _read_header(numbered)
    if header is None:
        raise Unreadable("it is empty.")
    scanner, ends, rows, plain = header.scanner, {header.end}, 0, header.plain
    length, blank_rows = 0, False
    for number, line in numbered:
        length += len(line)
        body = line.rstrip(_LINE_ENDS)
        if not scanner.is_open and scanner.is_blank_row(body):
            # DuckDB would refuse such a row if it has not as many cells as the header.
            plain, length, blank_rows = plain and body.count(scanner.delimiter) + 1 == len(header.columns), 0, True
            ends.add(line[len(body) :])
            continue
        if not scanner.is_open and not body.strip():
            # DuckDB skips empty lines as well, and refuses lines of blanks.
            plain, length = plain and not body, 0
            continue
        if scanner.ends_row(number, body):
            rows += 1
            plain, length = plain and length <= ROW_LIMIT, 0
            ends.add(line[len(body) :])
            if scanner.cells != len(header.columns):
                raise Unreadable(_other_width(scanner, number, len(header.columns)))
    if scanner.is_open:
        raise Unreadable(_never_closed(scanner.opened_in))
    return CsvFile(path, header.columns, scanner.delimiter, rows, plain and len(ends - {""}) < 2, blank_rows)


@dataclass(frozen=True, slots=True)
class _Header:
    columns: tuple[str, ...] = field(repr=False)
    scanner: _RowScanner
    end: str
    plain: bool
    """Whether it is the first line, a single line, and not too long."""


def _read_header(lines: Iterator[tuple[int, str]]) -> _Header | None:
    """Read the first line that is not blank, with the lines that a quote in it includes; None if there is none."""
    scanner: _RowScanner | None = None
    read: list[str] = []
    for number, line in lines:
        body = line.rstrip(_LINE_ENDS)
        if scanner is None:
            if not body.strip():
                continue
            scanner = _RowScanner(_delimiter(body))
        read.append(line)
        if scanner.ends_row(number, body):
            (columns,) = csv.reader(read, delimiter=scanner.delimiter, strict=True)
            plain = number == 1 and len(line) <= ROW_LIMIT
            return _Header(tuple(columns), scanner, line[len(body) :], plain)
    if scanner is not None:
        raise Unreadable(_never_closed(scanner.opened_in))
    return None


def _delimiter(header: str) -> str:
    """Return what separates the cells; in many countries spreadsheets write semicolons."""
    return max(",;\t", key=header.count)


class _RowScanner:
    """Follows quotes over lines: which line ends a row, how many cells the row has, where a quote opened."""

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        self.cells = 0
        """How many the row has that ended last."""
        self.started_in = 0
        """The line in which the row began."""
        self.opened_in = 0
        """The line of the quote that is still open; 0 if none is."""
        self._length = 0
        cell = f'(?:"(?:[^"]|"")*+"|[^"{re.escape(delimiter)}]*+)'
        self._row = re.compile(f"{cell}(?:{re.escape(delimiter)}{cell})*+")
        self._blank = re.compile(f'(?:"")?(?:{re.escape(delimiter)}(?:"")?)++')
        self._quoted = re.compile(r'"(?:[^"]|"")*+"')

    @property
    def is_open(self) -> bool:
        """Whether the row continues in the next line."""
        return bool(self.opened_in)

    def is_blank_row(self, body: str) -> bool:
        """Whether a line that begins a row has delimiters and only empty cells."""
        return body[:1] in (self.delimiter, '"') and self._blank.fullmatch(body) is not None

    def ends_row(self, number: int, body: str) -> bool:
        """Read a line, without its end; returns whether the row ends with it."""
        if "\x00" in body:
            raise Unreadable(f"line {number} holds a NUL character, so it is no CSV file. Save it as CSV UTF-8.")
        if self.is_open:
            return self._follow(number, body, 0)
        self.started_in = number
        if '"' not in body:
            self.cells = body.count(self.delimiter) + 1
            return True
        if self._row.fullmatch(body):
            self.cells = self._quoted.sub("", body).count(self.delimiter) + 1
            return True
        self.cells = 1
        return self._begin_cell(number, body, 0)

    def _begin_cell(self, number: int, body: str, at: int) -> bool:
        """Follow a line from the beginning of a cell."""
        while True:
            if body.startswith('"', at):
                self.opened_in, self._length = number, 0
                return self._follow(number, body, at + 1)
            end = body.find(self.delimiter, at)
            if '"' in body[at : end if end >= 0 else None]:
                raise Unreadable(
                    f"line {number} has a quote inside a cell that does not begin with one. Put the whole cell in "
                    'quotes and double the one inside (""), then propose the file again.'
                )
            if end < 0:
                return True
            self.cells, at = self.cells + 1, end + 1

    def _follow(self, number: int, body: str, at: int) -> bool:
        """Follow a line from inside a quoted cell."""
        while True:
            quote = body.find('"', at)
            if quote < 0:
                self._length += len(body) + 1
                if self._length > CELL_LIMIT:
                    raise Unreadable(_never_closed(self.opened_in, f" within {CELL_LIMIT // 1_000_000} MB"))
                return False
            if body.startswith('"', quote + 1):
                at = quote + 2
                continue
            after, opened = quote + 1, self.opened_in
            self.opened_in = 0
            if after == len(body):
                return True
            if not body.startswith(self.delimiter, after):
                raise Unreadable(
                    f"the quote that opens in line {opened} closes in line {number} and text follows it there. Close "
                    'the quote where its cell ends, or double it (""), then propose the file again.'
                )
            self.cells += 1
            return self._begin_cell(number, body, after + 1)


def _never_closed(line: int, within: str = "") -> str:
    return (
        f"the quote that opens in line {line} is never closed{within}, so the rows after it look like part of its "
        'cell. Close the quote, or double it (""), then propose the file again.'
    )


def _other_width(scanner: _RowScanner, ended_in: int, expected: int) -> str:
    began = scanner.started_in
    where = f"in line {began}" if began == ended_in else f"that a quote extends from line {began} to line {ended_in}"
    return (
        f"the row {where} has {counted(scanner.cells, 'cell')}, and the header has {expected}. A cell that holds the "
        "delimiter must be in quotes, and a quote must be closed where its cell ends."
    )


def _undecodable_line(path: Path) -> int:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1
