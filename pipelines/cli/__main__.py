"""`python -m pipelines.cli` is the command redcap-warehouse."""

from pipelines.cli.main import command

if __name__ == "__main__":
    command()
