"""The typer application: the commands, in the order of --help.

A command is a function in a file of its own; typer reads its parameters from its signature.
"""

import typer

from pipelines.cli.demo import demo
from pipelines.cli.forget import forget
from pipelines.cli.moving.move_store import move_store
from pipelines.cli.publish import publish
from pipelines.cli.queries import history, sql, status
from pipelines.cli.simulate import simulate
from pipelines.cli.sync import sync
from pipelines.cli.writeback import propose, revert, withdraw, writeback

COMMANDS = (
    sync,
    status,
    publish,
    history,
    sql,
    simulate,
    demo,
    propose,
    writeback,
    revert,
    withdraw,
    forget,
    move_store,
)

app = typer.Typer(
    name="redcap-warehouse",
    help="Load REDCap projects into a DuckDB warehouse, every night and provably complete.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables would show tokens and patients' values.
    pretty_exceptions_enable=False,
    # click suggests a similar command; typer would suggest it a second time.
    suggest_commands=False,
)
for command in COMMANDS:
    app.command()(command)
