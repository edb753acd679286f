import pytest

from redcap_source import errors
from redcap_source.frames.csv_frames import MalformedTableError, frame_of_csv
from tests.support.canned import answer, client_of


@pytest.mark.parametrize("odd", ["\x00", "\x0b", "\x1c", "\x1a", "\x85", "\u2028", "\ufeff", "☃", "\\", "'"])
@pytest.mark.parametrize("quoted", [True, False])
def test_odd_characters_survive(odd, quoted):
    cell = f"a{odd}b"
    text = f'id,x,y\n1,"{cell}",z\n2,p,q\n' if quoted else f"id,x,y\n1,{cell},z\n2,p,q\n"
    assert frame_of_csv(text).to_numpy().tolist() == [["1", cell, "z"], ["2", "p", "q"]]


@pytest.mark.parametrize("cell", ["a\rb", "a\nb", "a\r\nb", 'a"b', "a,b", " a ", ""])
def test_quoted_cells_survive(cell):
    quoted = cell.replace('"', '""')
    assert frame_of_csv(f'id,x\n1,"{quoted}"\n').to_numpy().tolist() == [["1", cell]]


def test_a_column_alone_may_be_blank():
    assert frame_of_csv("x\n1\n\n2\n").to_numpy().tolist() == [["1"], [""], ["2"]]


def test_a_header_alone_is_a_frame_without_rows():
    frame = frame_of_csv("id,x\n")
    assert (frame.columns.tolist(), len(frame)) == (["id", "x"], 0)


@pytest.mark.parametrize("text", ["id,x\n1\n", "id,x\n1,2,3\n", "id,x\n\n", "id,x\n1,a\rb\n", 'id,x\n1,"a"b\n'])
def test_what_is_no_table_is_refused_without_quoting_it(text):
    with pytest.raises(MalformedTableError) as caught:
        frame_of_csv(text)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("body", [b"id,x\n1\n", b"id,x\n1,\xff\n"])
def test_such_a_table_is_an_unexpected_answer(serve, body):
    with client_of(serve(answer(body))) as client, pytest.raises(errors.UnexpectedAnswer) as caught:
        client.export_records()
    assert caught.value.__context__ is None


def test_a_cell_of_20_megabytes_is_a_cell():
    assert len(frame_of_csv("id,x\n1," + "x" * 20_000_000 + "\n").iloc[0, 1]) == 20_000_000
