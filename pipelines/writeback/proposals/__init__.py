"""Proposals as people offer them: a file, a query, a frame or rows of Python become cells with a wanted value.

files.py      reading a CSV file strictly, and refusing it by its line
"""
