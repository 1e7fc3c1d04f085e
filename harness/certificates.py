"""Throw-away certificates, made with the openssl command."""

import subprocess
from collections.abc import Sequence
from pathlib import Path


class Authority:
    """A certificate authority in a directory, and what it signed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.ca, self._ca_key = self._make("ca", [], "CA:TRUE")

    def sign(
        self, name: str, *, address: str = "127.0.0.1", names: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """Return the files of a certificate for `address` and DNS `names` (CN is `name`) and of
        its key."""
        signer = ["-CA", str(self.ca), "-CAkey", str(self._ca_key)]
        alternatives = [f"IP:{address}", *(f"DNS:{dns}" for dns in names)]
        signer += ["-addext", f"subjectAltName={','.join(alternatives)}"]
        return self._make(name, signer, "CA:FALSE")

    def sign_expired(self, name: str) -> tuple[Path, Path]:
        """Return the same of a certificate that ran out a day ago."""
        certificate, key = self.sign(name)
        request, extensions = self.directory / f"{name}.csr", self.directory / "extensions.cnf"
        extensions.write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n")
        old = ["-in", str(certificate), "-signkey", str(key), "-out", str(request)]
        signer = ["-CA", str(self.ca), "-CAkey", str(self._ca_key), "-CAcreateserial"]
        new = ["-in", str(request), *signer, "-days", "-1", "-extfile", str(extensions)]
        for words in (["-x509toreq", *old], ["-req", *new, "-out", str(certificate)]):
            subprocess.run(["openssl", "x509", *words], check=True, capture_output=True, timeout=60)
        return certificate, key

    def _make(self, name: str, more: list[str], constraints: str) -> tuple[Path, Path]:
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        config = self.directory / "openssl.cnf"
        config.write_text("[req]\ndistinguished_name = dn\n[dn]\n")
        command = ["openssl", "req", "-x509", "-config", str(config), "-nodes", "-days", "2"]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={name}"]
        command += ["-addext", f"basicConstraints=critical,{constraints}", *more]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return certificate, key
