"""`python -m pipelines.demo` serves Dagster's web pages over the demo's studies."""

from pipelines.demo.ui import serve_ui

if __name__ == "__main__":
    serve_ui()
