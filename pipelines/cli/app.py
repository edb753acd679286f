"""The typer application; each command's file adds itself to it, and main.py imports them in the order of the help."""

import typer

app = typer.Typer(
    name="redcap-warehouse",
    help="Load REDCap projects into a DuckDB warehouse, every night and provably complete.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables would show tokens and patients' values.
    pretty_exceptions_enable=False,
    # click proposes the command that was meant; typer would say it a second time.
    suggest_commands=False,
)
