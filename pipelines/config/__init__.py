"""Reads projects.yaml into a Config, or raises one error that names every problem in it."""

from pipelines.config.load import load_config
from pipelines.config.schema import SCHEMA, json_schema
from pipelines.config.settings import Config, ProjectConfig, ServerConfig, WritebackConfig
from pipelines.config.tokens import TokenSource
from pipelines.errors import ConfigError

__all__ = [
    "SCHEMA",
    "Config",
    "ConfigError",
    "ProjectConfig",
    "ServerConfig",
    "TokenSource",
    "WritebackConfig",
    "json_schema",
    "load_config",
]
