"""Benchmarks: ratios and percentiles against a limit or a peer measured in the same run.

`make bench` runs them all; each module is a command of its own: `python -m bench.passes --help`.
"""
