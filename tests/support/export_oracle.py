"""A second, slow and obvious reading of a flat export: what the warehouse must hold.

It shares no code with the product: rows are dictionaries, instruments come from the dictionary's rows as the server
sends them, and nothing is typed.
"""

import csv
import io
import json
import re
import urllib.parse
import urllib.request
from collections import defaultdict


def ask(url, token, content, **parameters):
    """One call, its JSON body."""
    form = {"token": token, "content": content, "format": "json", **parameters}
    with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=20) as answer:
        return json.loads(answer.read())


def flat(url, token):
    """All records as the server sends them."""
    form = {
        "token": token,
        "content": "record",
        "format": "csv",
        "exportSurveyFields": "true",
        "exportDataAccessGroups": "true",
        "exportBlankForGrayFormStatus": "true",
    }
    with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=20) as answer:
        return list(csv.DictReader(io.StringIO(answer.read().decode(), newline="")))


def expected(url, token):
    """Per instrument, the set of its rows: (record, event, instance, cells that are not blank)."""
    dictionary = ask(url, token, "metadata")
    columns = defaultdict(list)
    exported = ask(url, token, "exportFieldNames")
    for field in dictionary[1:]:
        names = [e["export_field_name"] for e in exported if e["original_field_name"] == field["field_name"]]
        columns[field["form_name"]] += names if field["field_type"] == "checkbox" else [field["field_name"]]
    tables = defaultdict(set)
    for row in flat(url, token):
        for instrument in dict.fromkeys(field["form_name"] for field in dictionary):
            status = row.get(f"{instrument}_complete", "")
            cells = {name: row[name] for name in columns[instrument] if row.get(name)}
            other = row.get("redcap_repeat_instrument", "")
            ticked = any(not (re.search("___", name) and value == "0") for name, value in cells.items())
            if other == instrument or (not other and (ticked or status not in ("", "0"))):
                if status:
                    cells[f"{instrument}_complete"] = status
                key = (row[dictionary[0]["field_name"]], row.get("redcap_event_name", ""))
                instance = row.get("redcap_repeat_instance", "")
                tables[instrument].add((*key, instance, tuple(sorted(cells.items()))))
    return dict(tables)


def published(site, project):
    """The same, read from the published p_raw tables."""
    with site.store as store, store.published.open() as connection:
        return _tables(connection, f"{project}_raw")


def _tables(connection, schema):
    found = connection.execute(
        f"SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
        f"WHERE schema_name = '{schema}' GROUP BY ALL"
    ).fetchall()
    tables = {}
    for table, names in found:
        rows = set()
        skipped = {"redcap_data_access_group", "redcap_survey_identifier", f"{table}_timestamp"}
        for values in connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall():
            row = dict(zip(names, values, strict=True))
            record, event = row.pop(names[0]), row.pop("redcap_event_name", None) or ""
            instance = row.pop("redcap_repeat_instance", None) or ""
            cells = {name: value for name, value in row.items() if value is not None and name not in skipped}
            rows.add((record, event, instance, tuple(sorted(cells.items()))))
        tables[table] = rows
    return {name: rows for name, rows in tables.items() if rows}
