"""What both kinds of shared place promise, and what each does when it fails."""

import hashlib
import random
import secrets
import time
from pathlib import Path

import pytest

from pipelines.errors import ConfigError
from pipelines.store_errors import ObjectDamaged, ObjectMissing, SharedPlaceUnusable
from pipelines.warehouse.database.object_storage import ObjectStorage, s3_settings
from pipelines.warehouse.shared.digest import Digest, digest_of
from pipelines.warehouse.shared.folder_place import FolderPlace
from pipelines.warehouse.shared.place import SharedPlace, open_place
from pipelines.warehouse.shared.s3_place import S3Place
from tests.support.s3 import KEY_ID, SECRET, S3Server

CONTENT = random.Random(1).randbytes(300_000)
NAME = "mirrors/study/00000001-0123456789abcdef-01234567.duckdb"


def never(seconds: float) -> None:
    """Waits for nothing."""


def s3_place(server: S3Server, *, url: str = "", part: int = 1 << 20, patience: float = 60) -> S3Place:
    url = url or f"{server.bucket(f'bucket-{secrets.token_hex(4)}')}/redcap"
    storage = ObjectStorage(url, s3_settings(server.environment), patience=patience, sleep=never)
    return S3Place(storage, part=part)


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.lake)])
def place(request, tmp_path) -> SharedPlace:
    """Either kind of place, empty."""
    if request.param == "folder":
        yield FolderPlace(tmp_path / "shared")
        return
    found = s3_place(request.getfixturevalue("s3"))
    yield found
    found.close()


@pytest.fixture
def local(tmp_path) -> Path:
    """A file to put somewhere."""
    file = tmp_path / "local.duckdb"
    file.write_bytes(CONTENT)
    return file


def test_what_was_put_comes_back_and_is_listed_until_it_is_deleted(place, local, tmp_path):
    digest = digest_of(local)
    stored_as = place.put(local, NAME, digest)
    place.get(stored_as, tmp_path / "back", digest)
    assert (tmp_path / "back").read_bytes() == CONTENT
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o600
    assert place.names("mirrors/study/") == [NAME]
    assert place.names("mirrors/stud/") == []
    place.delete([NAME, "mirrors/study/none"])
    assert place.names("mirrors/study/") == []
    assert sorted(path.name for path in tmp_path.glob("**/.*")) == []


def test_what_is_not_there_is_reported_as_missing_and_leaves_no_file(place, tmp_path):
    with pytest.raises(ObjectMissing, match="it is not there"):
        place.get(NAME, tmp_path / "back", Digest(1, "0"))
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 1], ids=["its content", "its size"])
def test_what_is_not_what_was_written_is_refused_and_leaves_no_file(place, local, tmp_path, size):
    place.put(local, NAME, digest_of(local))
    with pytest.raises(ObjectDamaged, match="checksum" if size == len(CONTENT) else "bytes instead of"):
        place.get(NAME, tmp_path / "back", Digest(size, "0" * 64))
    assert not (tmp_path / "back").exists()


def test_a_file_that_changed_since_its_digest_was_taken_is_not_put(place, local):
    digest = digest_of(local)
    local.write_bytes(CONTENT[::-1])
    with pytest.raises(ObjectDamaged, match="changed while"):
        place.put(local, NAME, digest)


def test_an_existing_local_file_is_never_overwritten_by_a_download(place, local, tmp_path):
    digest = digest_of(local)
    place.put(local, NAME, digest)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(Exception, match=r"[Ee]xists"):
        place.get(NAME, tmp_path / "mine", digest)
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_place_that_can_be_written_keeps_nothing_of_the_check(place):
    place.check_writable()
    assert place.names("") == []


def test_files_in_a_shared_folder_are_private(tmp_path, local):
    FolderPlace(tmp_path / "shared").put(local, NAME, digest_of(local))
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "shared").rglob("*")}
    assert modes == {0o600, 0o700}


def test_a_folder_that_is_none_is_reported_with_the_systems_reason(tmp_path, local):
    (tmp_path / "shared").write_text("a file")
    place = FolderPlace(tmp_path / "shared")
    with pytest.raises(SharedPlaceUnusable, match="What was there before is unchanged"):
        place.check_writable()
    with pytest.raises(SharedPlaceUnusable):
        place.put(local, NAME, digest_of(local))


@pytest.mark.lake
def test_a_large_file_is_several_objects_that_make_the_file_when_put_together(s3, local, tmp_path):
    place = s3_place(s3, part=100_001)
    digest = digest_of(local)
    stored_as = place.put(local, NAME, digest)
    assert stored_as == f"{NAME}.of3"
    assert place.names("mirrors/study/") == [f"{NAME}.{number}of3" for number in (1, 2, 3)]
    place.get(stored_as, tmp_path / "back", digest)
    assert (tmp_path / "back").read_bytes() == CONTENT
    place.delete([f"{NAME}.2of3"])
    with pytest.raises(ObjectMissing):
        place.get(stored_as, tmp_path / "again", digest)
    assert not (tmp_path / "again").exists()
    place.close()


@pytest.mark.lake
def test_a_while_of_500s_is_waited_for(way, local, tmp_path):
    place = s3_place(way.through)
    left = {"PUT": 7, "GET": 7}

    def refuse(method: str, path: str) -> int | None:
        method = "GET" if method == "HEAD" else method
        left[method] = left.get(method, 0) - 1
        return 500 if left[method] >= 0 else None

    way.refuse = refuse
    digest = digest_of(local)
    place.put(local, NAME, digest)
    place.get(NAME, tmp_path / "back", digest)
    assert (tmp_path / "back").read_bytes() == CONTENT
    assert max(left.values()) < 0
    place.close()


@pytest.mark.lake
@pytest.mark.fuzz
@pytest.mark.parametrize("seconds", [1, 10])
def test_500s_of_some_seconds_are_waited_for_with_real_waits(way, local, tmp_path, seconds):
    bucket = way.server.bucket(f"bucket-{secrets.token_hex(4)}")
    storage = ObjectStorage(f"{bucket}/x", s3_settings(way.through.environment))
    place, digest = S3Place(storage), digest_of(local)

    def outage() -> None:
        ends = time.monotonic() + seconds
        way.refuse = lambda method, path: 500 if time.monotonic() < ends else None

    outage()
    place.put(local, NAME, digest)
    outage()
    place.get(NAME, tmp_path / "back", digest)
    outage()
    assert place.names("mirrors/study/") == [NAME]
    outage()
    place.delete([NAME])
    assert place.names("mirrors/study/") == []
    place.close()


@pytest.mark.lake
def test_500s_that_do_not_end_are_a_clear_error_without_the_keys(way, local, tmp_path):
    place = s3_place(way.through, patience=0)
    digest = digest_of(local)
    place.put(local, NAME, digest)
    way.refuse = lambda method, path: 500
    for attempt in (lambda: place.put(local, f"{NAME}x", digest), lambda: place.get(NAME, tmp_path / "back", digest)):
        with pytest.raises(SharedPlaceUnusable, match=r"S3 answers HTTP 500\. What was there before is") as refused:
            attempt()
        assert_no_keys(refused)
    assert not (tmp_path / "back").exists()
    way.refuse = lambda method, path: None
    place.get(NAME, tmp_path / "back", digest)
    assert place.names("mirrors/study/") == [NAME]
    place.close()


@pytest.mark.lake
def test_a_refused_key_is_a_clear_error_at_once_and_shows_no_key(way, local, tmp_path):
    place = s3_place(way.through)
    way.refuse = lambda method, path: 403
    with pytest.raises(SharedPlaceUnusable, match=r"refused the request \(HTTP 403\).*AWS_ variables") as refused:
        place.put(local, NAME, digest_of(local))
    assert_no_keys(refused)
    assert [method for method, path in way.seen if path.endswith(NAME)].count("PUT") <= 2
    place.close()


@pytest.mark.lake
def test_an_object_shorter_than_what_was_sent_is_not_reported_as_written(way, local, tmp_path):
    place = s3_place(way.through)
    digest = digest_of(local)
    # The server says it has them, and keeps nothing.
    way.refuse = lambda method, path: 200 if method == "PUT" or "uploadId" in path else None
    with pytest.raises(SharedPlaceUnusable):
        place.put(local, NAME, digest)
    place.close()


def assert_no_keys(refused: pytest.ExceptionInfo) -> None:
    shown = "".join(str(part) for part in (refused.getrepr(style="short"), refused.value, refused.value.__cause__))
    assert KEY_ID not in shown and SECRET not in shown


def test_the_kind_of_place_follows_from_the_configuration(tmp_path):
    environment = S3Server(1).environment
    assert isinstance(open_place(str(tmp_path)), FolderPlace)
    assert isinstance(open_place("s3://bucket/redcap", environment=environment), S3Place)
    for wrong in ("s3://", "s3:///redcap", "s3://bucket/*"):
        with pytest.raises(ConfigError, match=r"store\.data"):
            open_place(wrong, environment=environment)


def test_a_digest_is_the_size_and_the_sha256_of_the_content(local):
    assert digest_of(local) == Digest(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
