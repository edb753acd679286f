"""A server's figures from one load to the next."""

import pytest

from pipelines.extract.speed.server_speed import ServerSpeed
from pipelines.extract.speed.speed_file import read_speed, save_speed

URL = "https://redcap.example.org/api/"
SPEED = ServerSpeed(0.25, 3e-05)


def test_each_server_has_its_own_figures_and_the_last_are_kept(tmp_path):
    save_speed(tmp_path, URL, ServerSpeed(1.0, 1e-6))
    save_speed(tmp_path, URL, SPEED)
    assert read_speed(tmp_path, URL) == SPEED
    assert read_speed(tmp_path, "https://other.example.org/api/") is None


def test_only_the_owner_may_read_them_and_nothing_else_is_left(tmp_path):
    save_speed(tmp_path, URL, SPEED)
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "example" not in path.name + path.read_text()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\x00",
        b"[]",
        b"7",
        b'{"seconds_a_request": 1}',
        b'{"seconds_a_request": "x", "seconds_a_cell": 1e-5}',
        b'{"seconds_a_request": NaN, "seconds_a_cell": 1e-5}',
        b'{"seconds_a_request": -1, "seconds_a_cell": 1e-5}',
        b'{"seconds_a_request": 1, "seconds_a_cell": 1e9}',
        b'{"seconds_a_request": null, "seconds_a_cell": []}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_as_none(tmp_path, content):
    save_speed(tmp_path, URL, SPEED)
    [path] = tmp_path.iterdir()
    path.write_bytes(content)
    assert read_speed(tmp_path, URL) is None
    save_speed(tmp_path, URL, SPEED)
    assert read_speed(tmp_path, URL) == SPEED


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    save_speed(tmp_path / "missing", URL, SPEED)
    assert read_speed(tmp_path / "missing", URL) is None
