"""The command demo: a tour of the product over simulated studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FolderOption = Annotated[
    Path, typer.Option("--folder", help="Where the demo's projects.yaml and Dagster's home are created.")
]
RecordsOption = Annotated[int, typer.Option("--records", min=1, help="Records of each study.")]


def demo(folder: FolderOption = Path("demo"), records: RecordsOption = 150) -> None:
    """Two nights of three simulated studies through the Dagster job, a day of edits between them, and the results."""
    from pipelines.demo.run import run_demo

    run_demo(folder, records)
