"""Names in the shared place: parts, and which files nobody needs any more."""

from pathlib import Path

from pipelines.warehouse.shared.names import in_parts, on_its_way, parts_of, superseded, version_name


def name(version: int, random: str = "00000000", project: str = "study") -> str:
    return version_name(project, version, f"{version:064x}", random)


def test_a_name_says_project_version_and_checksum():
    assert version_name("study", 12, "ab" * 32, "01234567") == "mirrors/study/00000012-abababababababab-01234567.duckdb"


def test_parts_are_listed_in_the_order_in_which_they_make_the_file():
    assert parts_of("a.duckdb") == ["a.duckdb"]
    assert parts_of(in_parts("a.duckdb", 2)) == ["a.duckdb.1of2", "a.duckdb.2of2"]
    parts = parts_of(in_parts("a.duckdb", 12))
    assert parts == sorted(parts) and parts[0] == "a.duckdb.01of12" and len(parts) == 12


def test_what_is_on_its_way_is_hidden_and_says_whether_a_reader_or_the_holder_removes_it():
    mirror = Path("work/study.duckdb")
    incoming, reading = on_its_way(mirror, "1"), on_its_way(mirror, "2", "reading")
    assert (incoming.name, reading.name) == (".study.duckdb.1.incoming", ".study.duckdb.2.reading")
    assert on_its_way(incoming, "3").name == ".study.duckdb.1.incoming.3.incoming"
    assert on_its_way(reading, "3").name == ".study.duckdb.2.reading.3.reading"


def test_three_versions_are_kept_and_attempts_that_were_not_recorded_are_not():
    newest = name(7)
    there = [name(version) for version in range(1, 9)]
    attempts = [name(7, "11111111"), f"{name(7, '22222222')}.0a0a0a0a.begun", f"{name(7, '33333333')}.1of3"]
    found = superseded([*there, *attempts, "mirrors/study/notes.txt"], version=7, recorded=newest)
    assert found == [*there[:4], *attempts]


def test_the_parts_of_the_recorded_version_are_kept():
    newest = in_parts(name(3), 2)
    assert superseded([*parts_of(newest), name(3)], version=3, recorded=newest) == [name(3)]
