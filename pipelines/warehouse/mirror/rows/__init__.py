"""Replaces rows with those of staged chunks, and keeps their earlier versions."""
