"""Known answers of this program, which the real packages read back; `python -m tests.interop.ours` writes them anew."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ours import FILE, encode, make

SCRIPT = Path(__file__).parent / "ours.js"


def javascript_reads(file: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["node", str(SCRIPT), str(file), str(folder)], capture_output=True, text=True, timeout=60)


async def test_the_file_is_what_this_program_makes() -> None:
    assert encode(await make()) == FILE.read_text()


def test_javascript_reads_all_of_it_back(tmp_path: Path) -> None:
    done = javascript_reads(FILE, tmp_path)
    assert done.returncode == 0, done.stderr
    ours = json.loads(FILE.read_text())
    logs = [*ours["cores"], ours["bee"]["core"], *ours["drive"]["cores"], *ours["encryptedDrive"]["cores"]]
    checked = json.loads(done.stdout)
    assert checked["proofs"] == sum(len(log["messages"]) for log in logs)
    assert checked["leaves"] + checked["parents"] == sum(len(log["nodes"]) for log in logs)
    assert checked["blocks"] == sum(len(log["blocks"]) for log in ours["cores"])
    assert checked["versions of drives"] == len(ours["drive"]["versions"]) + len(ours["encryptedDrive"]["versions"])


def _other_block(ours: Any) -> None:
    ours["cores"][3]["blocks"][2] = b"other".hex()


def _other_proof(ours: Any) -> None:
    message = bytearray.fromhex(ours["cores"][4]["messages"][0])
    message[-80] ^= 1
    ours["cores"][4]["messages"][0] = message.hex()


def _other_node(ours: Any) -> None:
    ours["drive"]["cores"][1]["nodes"][1][1] += 1


def _other_file(ours: Any) -> None:
    ours["drive"]["versions"]["9"][0][4] = "00"


@pytest.mark.parametrize("spoil", [_other_block, _other_proof, _other_node, _other_file])
def test_javascript_would_find_a_difference(tmp_path: Path, spoil: Any) -> None:
    ours = json.loads(FILE.read_text())
    spoil(ours)
    (tmp_path / "ours.json").write_text(json.dumps(ours))
    assert javascript_reads(tmp_path / "ours.json", tmp_path).returncode == 1
