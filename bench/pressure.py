"""A load of a given rate from `hey` (Debian's), which keeps its rate with little CPU of its own."""

import re
import shutil
import subprocess

_WORKERS = 10


class Pressure:
    """Sends requests for a host until it is stopped, and says how many failed."""

    def __init__(self, port: int, host: str, rate: int) -> None:
        """`rate`: requests per second."""
        program = shutil.which("hey")
        if program is None:
            raise SystemExit("hey is not installed: apt-get install hey")
        argv = [program, "-z", "1h", "-c", str(_WORKERS), "-q", str(rate // _WORKERS)]
        argv += ["-host", host, f"http://127.0.0.1:{port}/"]
        self._process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def stop(self) -> tuple[float, int]:
        """End it; return requests per second, and how many were not answered with 200."""
        self._process.send_signal(2)
        said, _ = self._process.communicate(timeout=30)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
        codes = {int(code): int(n) for code, n in re.findall(r"\[(\d+)\]\s+(\d+) responses", said)}
        errors = sum(
            int(n) for n in re.findall(r"^\s+\[(\d+)\]\s+(?:Get|Post)", said, re.MULTILINE)
        )
        return float(rate[1]) if rate else 0.0, errors + sum(codes.values()) - codes.get(200, 0)
