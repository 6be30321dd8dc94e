"""Reads filled rating sheets: our CSV and JSON, Label Studio exports, old MTurk results, and zips of them.

A reader turns a file into rows as they stand there; `check` holds them against the study; `store` keeps the
answers. Filled sheets come from strangers, so nothing in them is run, trusted as a path, or unlimited.
"""
