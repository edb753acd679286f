"""What is a table and what is not: quotes, widths, line ends, encodings, each refused by its line."""

import pytest

from pipelines.writeback.proposals.files import CELL_LIMIT, Unreadable, check_csv, read_rows

HEADER = b"a,b,c\n"
BOM = b"\xef\xbb\xbf"


def written(tmp_path, content):
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (HEADER + b'1,"x,3\n4,5,6\n', "quote that opens in line 2 is never closed"),
        (HEADER + b'1,2,3\n4,5,"6', "quote that opens in line 3 is never closed"),
        (b'"a,b,c\n1,2,3\n', "quote that opens in line 1 is never closed"),
        (HEADER + b'1,2,3\n4,"x\n7,8,"9\n', "quote that opens in line 3 closes in line 4 and text follows"),
        (HEADER + b'1,"2" ,3\n', "quote that opens in line 2 closes in line 2 and text follows"),
        (HEADER + b'1,x"y,3\n', "line 2 has a quote inside a cell"),
        (HEADER + b'1, "2",3\n', "line 2 has a quote inside a cell"),
        (HEADER + b'1,"x\ny",z"\n', "line 3 has a quote inside a cell"),
        (HEADER + b"1,2,3\n1,2,3,4\n", "row in line 3 has 4 cells, and the header has 3"),
        (HEADER + b"1,2\n", "row in line 2 has 2 cells"),
        (HEADER + b'1,"2,2",3,4\n', "row in line 2 has 4 cells"),
        (HEADER + b'1,"x\n4,5,6"\n', "a quote extends from line 2 to line 3 has 2 cells"),
        (HEADER + b"1,2,3\n1,\x00,3\n", "line 3 holds a NUL"),
        (HEADER + b"1,2,3\n1,\xfc,3\n", "not UTF-8 text .line 3."),
        ("a,b,c\n1,2,3\n".encode("utf-16"), "not UTF-8 text .line 1."),
        (b"", "it is empty"),
        (b"\n  \n", "it is empty"),
    ],
)
def test_a_file_that_is_not_a_table_throughout_is_refused_with_its_line(tmp_path, content, why):
    with pytest.raises(Unreadable, match=why):
        check_csv(written(tmp_path, content))


def test_a_quote_is_not_followed_for_ever(tmp_path):
    line = b"1,2," + b"x" * 1_000_000 + b"\n"
    with pytest.raises(Unreadable, match="line 2 is never closed within 16 MB"):
        check_csv(written(tmp_path, HEADER + b'1,"2,3\n' + line * (CELL_LIMIT // 1_000_000 + 1)))


def test_a_folder_is_refused_by_what_the_system_says(tmp_path):
    with pytest.raises(Unreadable, match="it cannot be read"):
        check_csv(tmp_path)


@pytest.mark.parametrize(
    ("content", "rows", "plain"),
    [
        (HEADER + b"1,2,3\n4,5,6", [["1", "2", "3"], ["4", "5", "6"]], True),
        (BOM + b"a;b;c\r\n1;2,2;3\r\n", [["1", "2,2", "3"]], True),
        (b"a\tb\tc\n1\t2;2\t3\n", [["1", "2;2", "3"]], True),
        (b"a,b,c\r1,2,3\r", [["1", "2", "3"]], True),
        (b"a,b,c\r\n1,2,3\n4,5,6\r\n", [["1", "2", "3"], ["4", "5", "6"]], False),
        (b"\na,b,c\n1,2,3\n", [["1", "2", "3"]], False),
        (b'"a","b\nb",c\n1,2,3\n', [["1", "2", "3"]], False),
        (HEADER + b"1,2,3\n\n4,5,6\n\n\n", [["1", "2", "3"], ["4", "5", "6"]], True),
        (HEADER + b"1,2,3\n   \n", [["1", "2", "3"]], False),
        (HEADER + b'1,2,3\n,,\n"",,""\n', [["1", "2", "3"]], True),
        (HEADER + b"1,2,3\n,,,\n", [["1", "2", "3"]], False),
        (HEADER + b'1,"x\r\ny ""z""\n",3\n4,"","a,b"\n', [["1", 'x\r\ny "z"\n', "3"], ["4", "", "a,b"]], True),
        (HEADER + b'"","""",""""""\n', [["", '"', '""']], True),
        (HEADER + "1,a\u2028b\x0bc\x85,3\n".encode(), [["1", "a\u2028b\x0bc\x85", "3"]], True),
    ],
)
def test_a_table_is_read_as_it_stands(tmp_path, content, rows, plain):
    file = check_csv(written(tmp_path, content))
    assert (list(read_rows(file)), file.rows, file.plain) == (rows, len(rows), plain)
    assert file.columns[0] == "a"
    assert "columns" not in repr(file)


def test_a_cell_may_be_as_long_as_redcap_takes_one(tmp_path):
    text = "x" * 1_000_000
    file = check_csv(written(tmp_path, HEADER + f'1,"{text}\n{text}",3\n'.encode()))
    assert [len(cell) for cell in next(read_rows(file))] == [1, 2_000_001, 1]
