"""`python -m pipelines.config` writes the JSON schema of projects.yaml for editors."""

from pipelines.config.schema import SCHEMA, json_schema

if __name__ == "__main__":
    SCHEMA.write_text(json_schema(), encoding="utf-8")
