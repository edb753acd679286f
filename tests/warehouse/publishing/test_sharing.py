"""Who may read the published file: its mode and group, and the way to it, are as projects.yaml says."""

import grp
import os
import stat
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app
from pipelines.errors import ConfigError, WarehouseUnreadable
from pipelines.sharing import PRIVATE, Sharing
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.publishing.publish import publish
from pipelines.warehouse.publishing.sharing import is_shared_so, let_readers_in, share
from tests.support.published import add_small

NOBODY = 65534


def mode_of(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def readers() -> grp.struct_group:
    """A group that files do not have by themselves, and that this user may give them to."""
    known = grp.getgrall() if os.geteuid() == 0 else [grp.getgrgid(number) for number in os.getgroups()]
    found = next((group for group in known if group.gr_gid != os.getegid()), None)
    if found is None:
        pytest.skip("this user is in one group only")
    return found


@contextmanager
def as_a_user_outside(folder):
    """Inside, this process is a user who owns the folder, the current one, and is in no group that files can go to."""
    os.chdir(folder)
    if os.geteuid() != 0:
        yield
        return
    before = os.getgroups()
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


# --- A file and its folder ---


def test_a_file_gets_its_mode_and_its_group(tmp_path, readers):
    path, sharing = tmp_path / "warehouse.duckdb", Sharing(0o640, readers.gr_name)
    path.touch(0o600)
    assert not is_shared_so(path, sharing)
    share(path, sharing)
    assert (mode_of(path), path.stat().st_gid) == (0o640, readers.gr_gid)
    assert is_shared_so(path, sharing)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o644, 0o666])
def test_a_file_whose_mode_somebody_changed_is_noticed_and_set_right(tmp_path, mode):
    path, sharing = tmp_path / "warehouse.duckdb", Sharing(0o640)
    path.touch()
    path.chmod(mode)
    assert not is_shared_so(path, sharing)
    share(path, sharing)
    assert mode_of(path) == 0o640


def test_a_file_whose_group_somebody_changed_is_noticed(tmp_path, readers):
    path, own = tmp_path / "warehouse.duckdb", grp.getgrgid(os.getegid()).gr_name
    path.touch()
    path.chmod(0o640)
    os.chown(path, -1, readers.gr_gid)
    assert is_shared_so(path, Sharing(0o640))
    assert not is_shared_so(path, Sharing(0o640, own))


def test_a_group_may_be_named_by_its_number(tmp_path, readers):
    path = tmp_path / "warehouse.duckdb"
    path.touch()
    share(path, Sharing(0o640, str(readers.gr_gid)))
    assert path.stat().st_gid == readers.gr_gid


@pytest.mark.parametrize(
    ("before", "sharing", "after"),
    [
        (0o700, PRIVATE, 0o700),
        (0o700, Sharing(0o640), 0o710),
        (0o700, Sharing(0o644), 0o711),
        (0o700, Sharing(0o400), 0o700),
        # What the folder allows already is not taken away.
        (0o750, Sharing(0o640), 0o750),
        (0o755, PRIVATE, 0o755),
    ],
)
def test_readers_may_enter_the_folder_and_not_list_it(tmp_path, before, sharing, after):
    tmp_path.chmod(before)
    let_readers_in(tmp_path, sharing)
    assert mode_of(tmp_path) == after


# --- Groups that cannot be ---


@pytest.mark.parametrize("act", [share, is_shared_so, let_readers_in])
def test_a_group_that_this_machine_does_not_have_is_reported(tmp_path, act):
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match=r"published\.group: this machine has no group no-such-group\. Nothing was"):
        act(tmp_path, Sharing(0o640, "no-such-group"))
    assert mode_of(tmp_path) == 0o700


def test_a_group_that_this_user_may_not_give_files_to_is_reported_and_nothing_is_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # goes back at the end
    foreign = next(group for group in grp.getgrall() if group.gr_gid not in (NOBODY, *os.getgroups(), os.getegid()))
    path, sharing = tmp_path / "warehouse.duckdb", Sharing(0o644, foreign.gr_name)
    path.touch()
    path.chmod(0o600)
    tmp_path.chmod(0o700)
    with as_a_user_outside(tmp_path):
        for act, at in ((share, path.relative_to(tmp_path)), (let_readers_in, path.relative_to(tmp_path).parent)):
            with pytest.raises(ConfigError, match=f"may not give {at} to the group {foreign.gr_name} .* Nothing was"):
                act(at, sharing)
    assert (mode_of(path), mode_of(tmp_path)) == (0o600, 0o700)


# --- Publishing ---


@contextmanager
def modes_when_renamed():
    """The mode and the group of each file at the moment at which it is put into its place."""
    seen, listening = [], True

    def note(event, arguments):
        if listening and event == "os.rename":
            found = Path(arguments[0]).stat()
            seen.append((stat.S_IMODE(found.st_mode), found.st_gid))

    sys.addaudithook(note)  # cannot be taken away
    try:
        yield seen
    finally:
        listening = False


def test_a_published_file_has_its_mode_and_group_before_readers_see_it(site, readers):
    add_small(site, 4)
    site.settings = f'published: {{mode: "0640", group: {readers.gr_name}}}'
    site.load()
    with modes_when_renamed() as seen:
        publish(site.warehouse, sharing=site.config.published)
    assert (0o640, readers.gr_gid) in seen
    assert is_shared_so(site.warehouse.database, site.config.published)
    assert (mode_of(site.warehouse.path), site.warehouse.path.stat().st_gid) == (0o710, readers.gr_gid)
    assert mode_of(site.warehouse.work) == 0o700
    assert {mode_of(path) for path in site.warehouse.work.rglob("*") if path.is_file()} == {0o600}

    # The next publish changes nothing but what somebody else changed.
    before = site.warehouse.database.stat()
    site.warehouse.database.chmod(0o666)
    publish(site.warehouse, sharing=site.config.published)
    assert is_shared_so(site.warehouse.database, site.config.published)
    assert site.warehouse.database.stat().st_ino == before.st_ino

    # Without the key, only its owner reads it.
    site.settings = ""
    publish(site.warehouse, sharing=site.config.published)
    assert mode_of(site.warehouse.database) == 0o600


def test_a_folder_in_the_place_of_the_file_is_not_touched(tmp_path):
    warehouse = WarehouseFolder(tmp_path / "warehouse")
    warehouse.make()
    warehouse.database.mkdir()
    # Whatever the umask is.
    warehouse.database.chmod(0o755)
    with pytest.raises(WarehouseUnreadable, match="Move the folder away"):
        publish(warehouse)
    assert mode_of(warehouse.database) == 0o755


def test_with_a_group_that_is_not_there_nothing_is_published_and_the_load_is_kept(published):
    site, before = published, published.warehouse.database.read_bytes()
    site.settings = 'published: {mode: "0640", group: no-such-group}'
    site.load(full=True)
    with pytest.raises(ConfigError, match="this machine has no group no-such-group"):
        publish(site.warehouse, sharing=site.config.published)
    assert site.warehouse.database.read_bytes() == before
    assert mode_of(site.warehouse.database) == 0o600
    assert site.warehouse.unpublished().keys() == {"study"}


# The other tests here have one command each.
@pytest.mark.fuzz
def test_every_command_that_publishes_gives_the_file_its_mode(site):
    add_small(site, 4)
    add_small(site, 3, "oldstudy")
    site.settings = 'published: {mode: "0640"}'
    site.keys = "writeback: {fields: [town], max_record_share: 1}"
    corrections = site.folder / "towns.csv"
    corrections.write_text("record,field,new_value\n1,town,Springfield\n")
    for words in (
        ("sync",),
        ("propose", "study", str(corrections)),
        ("writeback", "study", "--apply"),
        ("forget", "oldstudy", "--yes"),
    ):
        if words[0] == "forget":
            del site.handles["oldstudy"]
        done = CliRunner().invoke(app, [*words, "--config", str(site.path)])
        assert done.exit_code == 0, done.output
        assert is_shared_so(site.warehouse.database, Sharing(0o640)), words


# --- What docs/howto/read.md promises readers ---


@contextmanager
def as_a_user_in(group: int | None):
    """Inside, this process is a user who owns nothing here; a member of the group, if there is one."""
    before = os.getgroups()
    os.setgroups([] if group is None else [group])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


@pytest.fixture
def open_folder():
    """A folder that other users can reach; those of pytest are its own user's."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o711)
        if not all(parent.stat().st_mode & 0o001 for parent in folder.parents):
            pytest.skip("other users cannot reach the folder of temporary files")
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_member_of_the_group_can_read_the_file_and_nothing_else_and_others_nothing(site, readers, open_folder):
    site.folder = open_folder
    add_small(site, 4)
    site.load()
    publish(site.warehouse, sharing=Sharing(0o640, readers.gr_name))
    database, mirror = site.warehouse.database, site.warehouse.mirror("study")
    with as_a_user_in(readers.gr_gid):
        with duckdb.connect(str(database), read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM study.base").fetchall() == [(4,)]
        with pytest.raises(duckdb.IOException, match="Permission denied"):
            duckdb.connect(str(database))
        for forbidden in (lambda: list(database.parent.iterdir()), mirror.read_bytes, database.unlink):
            with pytest.raises(PermissionError):
                forbidden()
    with as_a_user_in(None), pytest.raises(PermissionError):
        database.read_bytes()


def test_a_connection_keeps_its_night_until_every_connection_of_the_process_is_closed(published):
    town = "SELECT town FROM study.base WHERE record_id = '3'"
    path = str(published.warehouse.database)
    with duckdb.connect(path, read_only=True) as first:
        published.handles["study"].save("3", {"town": "Nachtstadt"})
        published.night()
        assert first.execute(town).fetchall() == [("Town 3",)]
        with duckdb.connect(path, read_only=True) as second:
            assert second.execute(town).fetchall() == [("Town 3",)]
    with duckdb.connect(path, read_only=True) as next_one:
        assert next_one.execute(town).fetchall() == [("Nachtstadt",)]
