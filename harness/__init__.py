"""Real daemons on loopback for tests, the demo and the benchmarks.

Everything starts on free ports, keeps its files in a directory the caller names, and is stopped by
process id. Not part of the installed package.
"""
