"""Benchmarks: every claim about speed or memory is a ratio measured side by side in one run."""
