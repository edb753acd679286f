"""What a DuckLake does not hold is left out of the statements for it, and of nothing else."""

from pipelines.warehouse.database.dialect import FILE, LAKE
from pipelines.warehouse.sql import statements


def test_only_the_compression_of_columns_is_left_out_for_a_lake():
    made = statements("publish")["create_bookkeeping"]
    assert FILE.fitted(made) == made
    fitted = LAKE.fitted(made)
    assert "USING COMPRESSION" in made and "USING COMPRESSION" not in fitted
    assert fitted.count("CREATE TABLE") == made.count("CREATE TABLE") and "cells VARCHAR," in fitted
