import gzip
import os

import pytest

from redcap_source import errors
from redcap_source.http import downloads
from redcap_source.http.downloads import announced_name, safe_name
from tests.support.canned import answer, client_of


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("scan.pdf", "scan.pdf"),
        ("Ärztin's Brief.pdf", "Ärztin's Brief.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("/etc/passwd", "passwd"),
        ("..", "file"),
        ("", "file"),
        (" . ", "file"),
        ("a/", "file"),
        (".bashrc", "bashrc"),
        ("a\x00b\r\n\x1b[31m.txt", "ab[31m.txt"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ('a<b>:"|?*.txt', "a_b______.txt"),
        ("con", "_con"),
        ("LPT1.txt", "_LPT1.txt"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("ü" * 300, "ü" * 100),
        ("a." + "b" * 300, "a." + "b" * 198),
    ],
)
def test_names_become_safe(name, safe):
    assert safe_name(name) == safe
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"content-type": 'image/jpeg; name="mugshot-1.jpg";charset=UTF-8'}, "mugshot-1.jpg"),
        ({"content-disposition": 'attachment; filename="a b.txt"', "content-type": 'x/y; name="c"'}, "a b.txt"),
        ({"content-disposition": "attachment; filename*=UTF-8''%C3%A4.txt"}, "ä.txt"),
        ({"content-type": "application/pdf"}, ""),
        ({}, ""),
        ({"content-type": 'a/b; name="x\r\ny"'}, "x y"),
        ({"content-type": ";;;=;name"}, ""),
    ],
)
def test_the_name_stands_in_one_of_two_headers(headers, name):
    assert announced_name(headers) == name


def download(serve, folder, name, body=b"bytes", attempts=1, first=None):
    good = answer(body, headers=f'Content-Type: x/y; name="{name}";charset=UTF-8\r\n')
    server = serve(*([first] if first else []), good)
    with client_of(server, attempts=attempts) as client:
        return server, client.export_file("1", "scan", folder, event="visit_arm_1", repeat_instance=2)


def test_a_file_is_downloaded_under_its_own_name(serve, tmp_path):
    server, saved = download(serve, tmp_path, "Zebulon.pdf", b"<html>a page somebody saved</html>")
    assert saved.path == tmp_path / "Zebulon.pdf"
    assert saved.path.read_bytes() == b"<html>a page somebody saved</html>"
    assert saved.path.stat().st_mode & 0o777 == 0o600
    assert "Zebulon" not in repr(saved)
    assert {"content": "file", "action": "export", "record": "1", "field": "scan", "event": "visit_arm_1"}.items() <= (
        server.forms[0].items()
    )
    assert server.forms[0]["repeat_instance"] == "2"


@pytest.mark.parametrize("name", ["../../escape.txt", "/tmp/escape.txt", "..", "a\\..\\escape.txt", ""])
def test_no_name_leads_out_of_the_folder(serve, tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    _, saved = download(serve, folder, name)
    assert saved.path.parent == folder
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert list(folder.iterdir()) == [saved.path]


def test_nothing_is_overwritten(serve, tmp_path):
    (tmp_path / "a.txt").write_text("mine")
    (tmp_path / "a (2).txt").symlink_to("/nowhere")
    _, saved = download(serve, tmp_path, "a.txt")
    assert saved.path.name == "a (3).txt"
    assert (tmp_path / "a.txt").read_text() == "mine"


def test_a_broken_download_is_tried_again_and_leaves_nothing_else(serve, tmp_path):
    broken = answer(b"byt", length=5)
    _, saved = download(serve, tmp_path, "a.txt", attempts=2, first=broken)
    assert list(tmp_path.iterdir()) == [saved.path]
    with client_of(serve(broken)) as client, pytest.raises(errors.Truncated):
        client.export_file("1", "scan", tmp_path)
    assert list(tmp_path.iterdir()) == [saved.path]


def test_a_refused_download_leaves_nothing(serve, tmp_path):
    text = b"{\"error\":\"The field 'x' does not exist or is not a 'file' field\"}"
    with client_of(serve(answer(text, "400 Bad Request"))) as client, pytest.raises(errors.RequestRefused) as caught:
        client.export_file("1", "x", tmp_path)
    assert "The field 'x' does not exist or is not a 'file' field" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_uploaded_as_multipart_from_the_disk(serve, tmp_path):
    path = tmp_path / 'odd "name".txt'
    path.write_bytes(b"content \xff\x00" * 1000)
    server = serve(answer(b""))
    with client_of(server) as client:
        client.import_file("1", "scan", path, name="given.txt", event="visit_arm_1", repeat_instance=2)
    body = server.bodies[0]
    assert b'name="file"; filename="given.txt"' in body
    assert b"content \xff\x00" * 1000 in body
    for name, value in (("content", "file"), ("action", "import"), ("record", "1"), ("event", "visit_arm_1")):
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body


def test_a_pdf_is_a_whole_pdf_or_an_error(serve, tmp_path):
    pdf = b"%PDF-1.7 ... %%EOF\n"
    # Real servers announce a PDF as text/html.
    with client_of(serve(answer(pdf, headers="Content-Type: text/html; charset=UTF-8\r\n"))) as client:
        client.export_instruments_pdf(tmp_path / "a.pdf", all_records=True, compact_display=True)
    assert (tmp_path / "a.pdf").read_bytes() == pdf
    for body, kind in ((pdf[:9], errors.Truncated), (b"<html>", errors.NotRedcap), (b"Sorry", errors.UnexpectedAnswer)):
        with client_of(serve(answer(body))) as client, pytest.raises(kind):
            client.export_instruments_pdf(tmp_path / "b.pdf")
    assert not (tmp_path / "b.pdf").exists()


def test_a_download_that_ends_while_it_is_placed_is_never_in_the_way(tmp_path):
    partial = downloads.partial_path(tmp_path)
    partial.write_bytes(b"x")
    assert downloads.placed(partial, tmp_path, "a").read_bytes() == b"x"
    assert not partial.exists()


@pytest.mark.parametrize("cut", [1, 8, 300])
def test_a_packed_file_that_was_cut_is_truncated_and_leaves_nothing(serve, tmp_path, cut):
    """The content of a file does not show where it ends; its compression does."""
    body = gzip.compress(os.urandom(1000))[:-cut]
    headers = 'Content-Encoding: gzip\r\nContent-Type: application/pdf; name="scan.pdf"\r\n'
    with client_of(serve(answer(body, headers=headers))) as client, pytest.raises(errors.Truncated):
        client.export_file("1", "scan", tmp_path)
    assert list(tmp_path.iterdir()) == []
