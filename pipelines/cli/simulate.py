"""The commands simulate and demo: a simulated REDCap to rehearse with, and a tour of what the product does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import app


@app.command()
def simulate(
    load: Annotated[
        list[str] | None,
        typer.Option("--load", metavar="NAME=PATH", help="A project: REDCap project XML, dictionary CSV, or a folder."),
    ] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Leave out the dictionary rows that REDCap would refuse, and list them.")
    ] = False,
    study: Annotated[
        list[str] | None,
        typer.Option("--study", metavar="[NAME=]KIND", help="A made-up study: classic, longitudinal, repeating."),
    ] = None,
    records: Annotated[
        list[str] | None,
        typer.Option("--records", metavar="[NAME=]N", help="Records of all made-up studies, or of one (default: 100)."),
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option("--token", metavar="NAME[:USER]=HEX", help="A project's or a user's token (default: random)."),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            "--user", metavar="PROJECT:NAME[:ROLE|GROUP]", help="A further user with a token, in a role or a group."
        ),
    ] = None,
    reports: Annotated[
        list[str] | None,
        typer.Option("--reports", metavar="NAME=PATH", help="A project's reports, from a CSV or JSON."),
    ] = None,
    super_token: Annotated[
        str | None, typer.Option("--super-token", metavar="HEX", help="The super token (default: random).")
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--faults", metavar="KIND[,OPTION=VALUE…]", help="A fault from the start, as 502,content=record,times=3."
        ),
    ] = None,
    redcap_version: Annotated[
        str | None,
        typer.Option("--redcap-version", metavar="X.Y.Z", help="The version to play, which decides what is answered."),
    ] = None,
    time_zone: Annotated[
        str, typer.Option("--time-zone", metavar="ZONE", help="The server's time zone.")
    ] = "America/Chicago",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on loopback; 0 picks a free one.")] = 0,
    state_folder: Annotated[
        Path | None,
        typer.Option("--state-folder", metavar="DIR", help="Where the control endpoint may save and load states."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object with url, tokens and the secret of the control endpoint."),
    ] = False,
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


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option("--folder", help="Where the demo's projects.yaml and Dagster's home go.")
    ] = Path("demo"),
    records: Annotated[int, typer.Option("--records", min=1, help="Records of each study.")] = 150,
) -> None:
    """Two nights of three simulated studies through the Dagster job, a day between them, and what came of it."""
    from pipelines.demo.run import run_demo

    run_demo(folder, records)
