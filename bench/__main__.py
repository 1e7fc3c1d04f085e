"""All benchmarks, one after the other: `make bench`, or `python -m bench`."""

from bench import passes, runtime

if __name__ == "__main__":
    passes.main()
    runtime.main()
