"""The command simulate: a simulated REDCap to rehearse with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

LoadOption = Annotated[
    list[str] | None,
    typer.Option("--load", metavar="NAME=PATH", help="A project: REDCap project XML, dictionary CSV, or a folder."),
]
LenientOption = Annotated[
    bool, typer.Option("--lenient", help="Leave out the dictionary rows that REDCap would refuse, and list them.")
]
StudyOption = Annotated[
    list[str] | None,
    typer.Option("--study", metavar="[NAME=]KIND", help="A made-up study: classic, longitudinal, repeating."),
]
RecordsOption = Annotated[
    list[str] | None,
    typer.Option("--records", metavar="[NAME=]N", help="Records of all made-up studies, or of one (default: 100)."),
]
TokenOption = Annotated[
    list[str] | None,
    typer.Option("--token", metavar="NAME[:USER]=HEX", help="A project's or a user's token (default: random)."),
]
UserOption = Annotated[
    list[str] | None,
    typer.Option(
        "--user", metavar="PROJECT:NAME[:ROLE|GROUP]", help="A further user with a token, in a role or a group."
    ),
]
ReportsOption = Annotated[
    list[str] | None,
    typer.Option("--reports", metavar="NAME=PATH", help="A project's reports, from a CSV or JSON."),
]
SuperTokenOption = Annotated[
    str | None, typer.Option("--super-token", metavar="HEX", help="The super token (default: random).")
]
FaultsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--faults", metavar="KIND[,OPTION=VALUE…]", help="A fault from the start, as 502,content=record,times=3."
    ),
]
VersionOption = Annotated[
    str | None,
    typer.Option(
        "--redcap-version", metavar="X.Y.Z", help="The REDCap version to simulate; it determines the answers."
    ),
]
TimeZoneOption = Annotated[str, typer.Option("--time-zone", metavar="ZONE", help="The server's time zone.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on loopback; 0 picks a free one.")]
StateFolderOption = Annotated[
    Path | None,
    typer.Option("--state-folder", metavar="DIR", help="Where the control endpoint may save and load states."),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object with url, tokens and the secret of the control endpoint."),
]


def simulate(
    load: LoadOption = None,
    lenient: LenientOption = False,
    study: StudyOption = None,
    records: RecordsOption = None,
    token: TokenOption = None,
    user: UserOption = None,
    reports: ReportsOption = None,
    super_token: SuperTokenOption = None,
    faults: FaultsOption = None,
    redcap_version: VersionOption = None,
    time_zone: TimeZoneOption = "America/Chicago",
    port: PortOption = 0,
    state_folder: StateFolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a simulated REDCap on this machine until interrupted, to rehearse with made-up data or your own study."""
    from pipelines.cli.simulate_options import pairs, studies, users
    from redcap_source.simulator.serve import serve
    from redcap_source.simulator.versions import DEFAULT_VERSION

    serve(
        loads=[(name, Path(path)) for name, path in pairs("--load", load)],
        studies=studies(study, records),
        tokens=dict(pairs("--token", token)),
        users=users(user),
        reports=[(name, Path(path)) for name, path in pairs("--reports", reports)],
        time_zone=time_zone,
        faults=faults or (),
        state_folder=state_folder,
        lenient=lenient,
        super_token=super_token,
        version=redcap_version or DEFAULT_VERSION,
        port=port,
        as_json=as_json,
        out=sys.stdout,
    )
