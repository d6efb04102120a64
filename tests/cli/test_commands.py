import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import linkup_nb as lu
from tests.cli.reading import START_TIMEOUT, read_until

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).with_name("linkup-nb"))


def test_version_is_the_packages() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    printed = subprocess.run([COMMAND, "--version"], check=True, capture_output=True, text=True).stdout
    assert printed == f"linkup-nb, version {version}\n"


@pytest.mark.parametrize(("kind", "name"), [([], ""), (["--hyperdht"], "hyperdht:")])
def test_bootstrap_prints_the_address_to_name_and_ends_quietly(kind: list[str], name: str) -> None:
    command = [COMMAND, "bootstrap", "--host", "127.0.0.1", "--port", "0", *kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = read_until(process, r".*:.*")[0]
        assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", address)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=START_TIMEOUT)[1]
        assert f"LINKUP_BOOTSTRAP={name}{address}. " in said
        assert "Traceback" not in said
        assert process.returncode == 0


@pytest.mark.parametrize("kind", [[], ["--hyperdht"]])
def test_bootstrap_on_a_port_in_use_says_so(kind: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = str(holder.getsockname()[1])
        command = [COMMAND, "bootstrap", "--host", "127.0.0.1", "--port", port, *kind]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT)
    assert done.returncode == 1
    assert re.match(rf"Error: .*\b{port}\b.* 127\.0\.0\.1 .*in use", done.stderr)


def test_relay_prints_its_key_keeps_it_and_ends_quietly(tmp_path: Path) -> None:
    keys = []
    with subprocess.Popen(
        [COMMAND, "bootstrap", "--hyperdht", "--host", "127.0.0.1", "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as first:
        environment = os.environ | {"LINKUP_BOOTSTRAP": "hyperdht:" + read_until(first, r".*:.*")[0]}
        for _ in range(2):
            command = [
                COMMAND,
                "relay",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--secret",
                str(tmp_path / "a" / "relay"),
            ]
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
            ) as process:
                keys.append(read_until(process, r"^[0-9a-f]{64}$")[0])
                process.send_signal(signal.SIGINT)
                said = process.communicate(timeout=START_TIMEOUT)[1]
                assert f"HyperDHT(relay_through=bytes.fromhex('{keys[-1]}'))" in said
                assert "Traceback" not in said
                assert process.returncode == 0
        first.send_signal(signal.SIGINT)
    assert keys[0] == keys[1]


def test_relay_with_a_damaged_secret_says_so(tmp_path: Path) -> None:
    (tmp_path / "relay").write_bytes(b"short")
    command = [COMMAND, "relay", "--secret", str(tmp_path / "relay")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT)
    assert done.returncode == 1
    assert "is damaged" in done.stderr


def verified(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "verify", str(path)], capture_output=True, text=True, timeout=START_TIMEOUT)


async def test_verify_checks_an_exported_room_and_names_the_first_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "room.jsonl"
    async with lu.Node(tmp_path / "ann", name="ann", discovery=[]) as node:
        room = await node.create_room("physics")
        await room.send("hello")
        count = await room.export(path)
    done = verified(path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"The room 'physics': {count} blocks of 1 feeds, all as their authors signed them.\n"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1].replace('"block":"', '"block":"AAAA')]) + "\n")
    done = verified(path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Line {len(lines)} is wrong: ")
    path.write_text(json.dumps({"export": 1, "room": "\x1b]0;x\x07", "topic": "\x1b"}) + "\n")
    done = verified(path)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
