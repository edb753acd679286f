"""projects.yaml becomes a Config, or one error that names every problem in it."""
