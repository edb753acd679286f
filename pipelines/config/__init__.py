"""projects.yaml becomes a Config, or one error that names every problem in it."""

from pipelines.config.load import load_config
from pipelines.config.settings import Config, ProjectConfig, ServerConfig, WritebackConfig

__all__ = ["Config", "ProjectConfig", "ServerConfig", "WritebackConfig", "load_config"]
