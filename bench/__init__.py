"""Benchmarks: ratios and percentiles against a limit or a peer measured in the same run.

`make bench` runs them all; each module is a command of its own: `python -m bench.passes --help`.
"""

import compileall
import os
from pathlib import Path

# Users have lbsync's bytecode: pip and the Debian package compile it. Containers often forbid Python to write any,
# and each process would spend 0.3 s on compiling all modules anew (measured).
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
compileall.compile_dir(Path(__file__).parents[1] / "lbsync", quiet=2)
