"""The verifier stands alone: one folder, Python, and the package `cryptography`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cryptography
import pytest
from statetape.storage import verifier

from . import make_vectors

NEEDED = ("cryptography", "cffi", "_cffi_backend*", "pycparser")
"""The package, and what it imports itself."""
VERIFY = """
import base64, json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import verifier
verdicts = []
for vector in json.load(open(sys.argv[3]))["tlog_proofs"]:
    try:
        keys = [verifier.parse_verifier_key(key) for key in vector["vkeys"]]
        proof = verifier.parse_proof(base64.b64decode(vector["proof_b64"]))
        verifier.check_proof(proof, verifier.leaf_hash(bytes.fromhex(vector["entry"])), keys)
        verdicts.append(True)
    except verifier.EvidenceInvalid:
        verdicts.append(False)
loaded = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(json.dumps({"verdicts": verdicts, "loaded": sorted(loaded)}))
"""


@pytest.fixture
def alone(tmp_path):
    """Runs a program that sees the verifier's folder and `cryptography`, and nothing installed."""
    shutil.copytree(Path(verifier.__file__).parent, tmp_path / "verifier")
    packages = tmp_path / "packages"
    packages.mkdir()
    for pattern in NEEDED:
        for path in Path(cryptography.__file__).parents[1].glob(pattern):
            (packages / path.name).symlink_to(path)

    def run(program: str) -> subprocess.CompletedProcess[str]:
        vectors = make_vectors.FOLDER / "notes.json"
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", program, tmp_path, packages, vectors],
            cwd=tmp_path,
            env={},
            capture_output=True,
            text=True,
        )

    return run


def test_a_copy_of_the_folder_verifies_proofs_with_nothing_else_of_ours(alone):
    """Every proof of our own vectors gets its verdict; no other package is loaded."""
    done = alone(VERIFY)
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    expected = json.loads((make_vectors.FOLDER / "notes.json").read_text())["tlog_proofs"]

    assert said["verdicts"] == [vector["valid"] for vector in expected]
    assert set(said["verdicts"]) == {True, False}
    named = {name for name in said["loaded"] if not name.startswith("_")}
    assert named <= {"verifier", "cryptography", "cffi", "pycparser"}


@pytest.mark.parametrize("name", ["msgspec", "typer", "statetape"])
def test_what_the_rest_of_the_program_needs_is_not_there(alone, name):
    """The control: a file that imported it would fail."""
    done = alone(VERIFY.replace("import verifier\n", f"import {name}, verifier\n", 1))

    assert done.returncode == 1
    assert f"No module named '{name}'" in done.stderr
