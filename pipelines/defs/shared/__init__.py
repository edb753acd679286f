"""What Dagster does only where machines share the warehouse: repeat lost runs elsewhere, keep the lake small."""
