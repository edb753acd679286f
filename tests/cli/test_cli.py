"""The command as a person or a cron job runs it: a process, its output, its exit code."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

import duckdb
import pytest
import typer

from pipelines.cli.failures import of_a_load
from pipelines.cli.main import main
from tests.support.root import ROOT

CANARY_TOKEN = "CA4A47C0FFEE" + "0" * 20


def run(*words, cwd, env=None, timeout=60):
    """One run of the command."""
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.fixture
def here(monkeypatch, capsys):
    """The same in this process, where the process makes no difference: one takes half a second."""

    def run_here(*words, cwd, env=None):
        monkeypatch.chdir(cwd)
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["redcap-warehouse", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(words, ended.value.code or 0, printed.out, printed.err)

    return run_here


@pytest.fixture(scope="module")
def simulated():
    """`redcap-warehouse simulate` in a process of its own, and what it said when it answered."""
    command = [sys.executable, "-m", "pipelines.cli", "simulate", "--json"]
    command += ["--study", "classic", "--study", "repeating", "--records", "8", "--token", f"classic={CANARY_TOKEN}"]
    command += ["--redcap-version", "15.8.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        yield told
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def work_in(folder, simulated):
    """Give a folder a projects.yaml of three lines; returns it with the environment that has the tokens."""
    (folder / "projects.yaml").write_text(
        f"servers: {{sim: {{url: {simulated['url']}}}}}\n"
        "projects:\n"
        "  classic: {token: {env: TOKEN_CLASSIC}}\n"
        "  repeating: {token: {env: TOKEN_REPEATING}}\n"
    )
    tokens = {f"TOKEN_{name.upper()}": project["token"] for name, project in simulated["projects"].items()}
    return folder, tokens


@pytest.fixture
def workplace(tmp_path, simulated):
    """A folder with a projects.yaml, and the environment with the tokens."""
    return work_in(tmp_path, simulated)


@pytest.fixture(scope="module")
def synced(tmp_path_factory, simulated):
    """The same after a first `sync`, and what that said; for looking at only."""
    folder, tokens = work_in(tmp_path_factory.mktemp("synced"), simulated)
    result = run("sync", cwd=folder, env=tokens)
    assert result.returncode == 0, result.stderr
    return folder, result


@pytest.fixture
def loaded(workplace, synced):
    """A workplace of which all projects were loaded and published."""
    folder, tokens = workplace
    shutil.copytree(synced[0] / "warehouse", folder / "warehouse")
    return folder, tokens


def test_the_simulator_prints_its_address(simulated):
    assert simulated["url"].startswith("http://127.0.0.1:")
    assert simulated["projects"]["classic"]["token"] == CANARY_TOKEN
    assert isinstance(simulated["projects"]["classic"]["project_id"], int)
    assert len(simulated["super_token"]) == 64
    assert len(simulated["control_secret"]) >= 32


def test_the_simulator_plays_the_version_that_was_asked_for(simulated, tmp_path):
    asked = urllib.parse.urlencode({"token": CANARY_TOKEN, "content": "version"}).encode()
    with urllib.request.urlopen(simulated["url"], asked, timeout=20) as answer:
        assert answer.read() == b"15.8.2"
    refused = run("simulate", "--study", "classic", "--redcap-version", "newest", cwd=tmp_path)
    assert refused.returncode == 1 and "'newest' is not a version of REDCap" in refused.stderr


def test_sync_status_and_sql(synced, here):
    folder, result = synced
    assert "Published" in result.stdout
    stood = json.loads(run("status", "--json", cwd=folder).stdout)
    assert {s["project"]: (s["last_outcome"], s["records"]) for s in stood} == {
        "classic": ("ok", 8),
        "repeating": ("ok", 8),
    }
    answer = json.loads(run("sql", "--json", "SELECT count(*) AS n FROM classic.enrolment", cwd=folder).stdout)
    assert answer == [{"n": 8}]
    assert here("sql", "--csv", "SELECT 1 AS one", cwd=folder).stdout == "one\n1\n"
    assert (
        "sql>"
        in subprocess.run(
            [sys.executable, "-m", "pipelines.cli", "sql"],
            cwd=folder,
            input="SELECT 40 + 2 AS answer;\nexit\n",
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
    )


def test_a_project_that_fails_does_not_hold_the_others_back(workplace, here):
    folder, tokens = workplace
    # One after the other; the next test loads them side by side.
    result = here("sync", "--jobs", "1", "--json", cwd=folder, env={**tokens, "TOKEN_CLASSIC": "0" * 32})
    assert result.returncode == 1
    told = json.loads(result.stdout)
    assert told["published"] == ["repeating"]
    assert "rejected the token" in told["failures"]["classic"]


def test_an_error_that_nobody_foresaw_is_named_by_its_kind_and_stops_one_project_only(capsys, monkeypatch):
    told = of_a_load("study", ValueError("Maria Musterfrau"))
    assert told.startswith("study: Unexpected error (ValueError). The data of its previous load is kept.")
    assert "Maria" not in told + capsys.readouterr().err
    monkeypatch.setenv("REDCAP_WAREHOUSE_TRACE", "1")
    assert of_a_load("study", ValueError("Maria Musterfrau")) == told
    assert "ValueError" in capsys.readouterr().err


# A rule of one line (pipelines/cli/options.py).
@pytest.mark.fuzz
def test_a_project_that_is_named_twice_is_loaded_once(workplace, here):
    folder, tokens = workplace
    result = here("sync", "classic", "classic", "--json", cwd=folder, env=tokens)
    assert result.returncode == 0, result.stderr
    assert [load["project"] for load in json.loads(result.stdout)["loads"]] == ["classic"]


# The test of a project that fails has the rule.
@pytest.mark.fuzz
def test_a_folder_that_is_in_a_projects_way_does_not_hold_the_others_back(workplace, here):
    folder, tokens = workplace
    staging = folder / "warehouse" / "work" / "staging"
    staging.mkdir(parents=True)
    (staging / "classic").write_text("not a folder")
    result = here("sync", "--json", cwd=folder, env=tokens)
    told = json.loads(result.stdout)
    assert (result.returncode, told["published"]) == (1, ["repeating"])
    assert "staging/classic" in told["failures"]["classic"]
    assert "report it" not in told["failures"]["classic"]


def test_sql_can_only_read(loaded, here):
    folder, _ = loaded
    for statement in ("DELETE FROM redcap.projects", "COPY (SELECT 1) TO 'out.csv'", "ATTACH 'other.duckdb'", "SELEKT"):
        refused = here("sql", statement, cwd=folder)
        assert refused.returncode == 1, statement
    assert {path.name for path in folder.iterdir()} == {"projects.yaml", "warehouse"}


def broken(text):
    """A change of projects.yaml."""
    return lambda folder, url: (folder / "projects.yaml").write_text(text.replace("URL", url))


PROBLEMS = [
    ("wrong token", None, {"TOKEN_CLASSIC": "0" * 32}, "rejected the token"),
    ("missing variable", None, {"TOKEN_CLASSIC": ""}, "TOKEN_CLASSIC"),
    (
        "unknown key",
        "servers: {s: {url: URL}}\nprojects: {classic: {tokn: {env: TOKEN_CLASSIC}}}",
        {},
        "Did you mean token?",
    ),
    ("broken yaml", "servers: {s: {url: URL}\nprojects: [", {}, "line"),
    (
        "http to a remote host",
        "servers: {s: {url: 'http://redcap.example.org/api/'}}\nprojects: {classic: {token: {env: TOKEN_CLASSIC}}}",
        {},
        "https://",
    ),
    (
        "unwritable folder",
        "warehouse: /proc/warehouse\nservers: {s: {url: URL}}\nprojects: {classic: {token: {env: TOKEN_CLASSIC}}}",
        {},
        "/proc/warehouse cannot be used",
    ),
    (
        "too little memory",
        "memory_limit: 2MB\nservers: {s: {url: URL}}\nprojects: {classic: {token: {env: TOKEN_CLASSIC}}}",
        {},
        "Set memory_limit in projects.yaml",
    ),
]


@pytest.mark.parametrize(("problem", "text", "env", "told"), PROBLEMS, ids=[row[0] for row in PROBLEMS])
def test_every_problem_is_one_clear_message_and_leaves_yesterdays_file(
    loaded, simulated, here, problem, text, env, told
):
    folder, tokens = loaded
    database = folder / "warehouse" / "warehouse.duckdb"
    yesterday = database.read_bytes()
    if text:
        (folder / "projects.yaml").write_text(text.replace("URL", simulated["url"]))
    command = run if problem == "wrong token" else here
    result = command("sync", "classic", cwd=folder, env={**tokens, **env})
    assert result.returncode == 1
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert "Unexpected error" not in result.stderr
    assert CANARY_TOKEN not in result.stdout + result.stderr
    assert database.read_bytes() == yesterday


def test_what_another_user_may_not_read_is_named_as_such(loaded):
    folder, _ = loaded
    root = os.geteuid() == 0
    # Who runs the tests as root can be somebody else; anybody else can lock themselves out.
    warehouse = folder / "warehouse"
    warehouse.chmod(0o700 if root else 0o000)
    command = (
        "import os, sys\n"
        # What is imported later may lie where only root may read.
        "import pipelines.console.tables, pipelines.warehouse.published.query, redcap_source.simulator\n"
        "from pipelines.cli import main\n"
        "from pipelines.config import load_config\n"
        "load_config('projects.yaml')\n"
        f"os.setuid(65534) if {root} else None\n"
        "sys.argv = ['redcap-warehouse', 'sql', '-c', 'projects.yaml', 'SELECT 1']\n"
        "main()\n"
    )
    # Under pytest's own folders nobody else would come as far as the warehouse.
    above = [path for path in folder.parents if path.name.startswith("pytest-")]
    try:
        for path in (folder, *above) if root else ():
            path.chmod(0o755)
        result = subprocess.run([sys.executable, "-c", command], cwd=folder, capture_output=True, text=True, timeout=60)
    finally:
        warehouse.chmod(0o700)
    assert result.returncode == 1
    assert f"{warehouse / 'warehouse.duckdb'} cannot be used: Permission denied" in result.stderr
    assert "the user who owns the warehouse" in result.stderr
    assert "nforeseen" not in result.stderr


def test_status_fails_where_a_mirror_is_damaged_and_says_what_to_do(loaded, here):
    folder, tokens = loaded
    (folder / "warehouse" / "work" / "classic.duckdb").write_bytes(b"no database at all" * 1000)
    told = run("status", cwd=folder)
    assert told.returncode == 1
    assert "damaged" in told.stdout
    assert "sync classic --start-over" in told.stdout
    nameless = here("sync", "--start-over", cwd=folder, env=tokens)
    assert nameless.returncode == 1
    assert "Name the projects to start over." in nameless.stderr


def test_status_tells_what_became_of_the_published_file_and_sync_what_it_made_of_it(loaded, here):
    folder, tokens = loaded
    warehouse = folder / "warehouse"
    (warehouse / "work" / "classic.duckdb").write_bytes(b"no database at all" * 1000)
    (warehouse / "warehouse.duckdb").unlink()
    told = here("status", "--json", cwd=folder)
    assert told.returncode == 1
    assert {status["published_file"] for status in json.loads(told.stdout)} == {"missing"}
    again = run("sync", "repeating", cwd=folder, env=tokens)
    assert again.returncode == 1
    assert "warehouse.duckdb was made again from the projects' mirrors: it was missing." in again.stderr
    told = here("status", "repeating", cwd=folder)
    assert told.returncode == 1
    assert "warehouse.duckdb lacks classic: " in told.stdout


def test_an_unknown_project_is_named_with_those_there_are(workplace, here):
    folder, tokens = workplace
    result = here("sync", "clasic", cwd=folder, env=tokens)
    assert result.returncode == 1
    assert "Did you mean classic?" in result.stderr


READER = """
import sys, duckdb
for query in sys.stdin:
    try:
        with duckdb.connect(sys.argv[1], read_only=True) as connection:
            print(connection.execute(query).fetchall(), flush=True)
    except Exception as error:
        print(repr(error), flush=True)
"""


# tests/warehouse/publishing/test_interrupted.py reads while files are published, made again and compacted.
@pytest.mark.fuzz
def test_readers_in_another_process_never_see_an_error_or_half_a_load(loaded):
    folder, tokens = loaded
    query = (
        "SELECT 'classic', count(*) FROM classic.enrolment "
        "UNION ALL SELECT 'repeating', count(*) FROM repeating.intake ORDER BY ALL"
    )
    stop, seen = threading.Event(), []
    command = [sys.executable, "-c", READER, str(folder / "warehouse" / "warehouse.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:

        def read():
            # Some twenty times a second: often while one load is published.
            while not stop.wait(0.05):
                print(query, file=reader.stdin, flush=True)
                seen.append(reader.stdout.readline())

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for _ in range(2):
                assert run("sync", cwd=folder, env=tokens).returncode == 0
        finally:
            stop.set()
            thread.join()
            reader.stdin.close()
    assert len(seen) > 3
    assert set(seen) == {str([("classic", 8), ("repeating", 8)]) + "\n"}


def test_no_token_and_no_value_is_left_outside_the_warehouses_tables(loaded, synced):
    folder, tokens = loaded
    for result in (synced[1], run("sync", cwd=folder, env={**tokens, "TOKEN_REPEATING": "0" * 32})):
        with duckdb.connect(str(folder / "warehouse" / "warehouse.duckdb"), read_only=True) as connection:
            names = {name for (name,) in connection.execute("SELECT last_name FROM classic.enrolment").fetchall()}
        for text in (result.stdout, result.stderr):
            assert CANARY_TOKEN not in text
            assert not [name for name in names if name and name in text]
    for path in (*synced[0].rglob("*"), *folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            assert CANARY_TOKEN.encode() not in content, path
            if path.suffix != ".duckdb":
                assert not [name for name in names if name and name.encode() in content], path


def test_help_answers_without_loading_heavy_libraries(tmp_path):
    script = (
        "import sys, pipelines.cli; "
        "print([m for m in ('duckdb', 'dagster', 'pandas', 'httpx', 'pydantic') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout == "[]\n"


def test_a_load_of_one_project_without_a_terminal_imports_nothing_that_draws_or_starts_processes(workplace):
    folder, tokens = workplace
    script = (
        "import atexit, sys; from pipelines.cli.main import command; "
        "sys.argv = ['redcap-warehouse', 'sync', 'classic', '--json']; "
        "unwanted = ('rich', 'pygments', 'multiprocessing'); "
        "atexit.register(lambda: print([m for m in unwanted if m in sys.modules])); command()"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, env=tokens)
    # What is registered for the end of the process is done, and everything that was printed is written.
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "[]")
    assert json.loads(result.stdout.removesuffix("[]\n"))["published"] == ["classic"]


def test_help_lists_the_commands_from_the_nightly_ones_to_the_rare_ones():
    from pipelines.cli.app import app

    names = list(typer.main.get_command(app).commands)
    assert names[:7] == ["sync", "status", "publish", "history", "sql", "simulate", "demo"]
    assert names[7:] == ["propose", "writeback", "revert", "withdraw", "forget", "move-store"]


def test_a_fault_that_does_not_exist_is_reported(tmp_path, here):
    result = here("simulate", "--study", "classic", "--faults", "nonsense", cwd=tmp_path)
    assert result.returncode == 1
    assert "There is no fault 'nonsense'; choose from" in result.stderr
