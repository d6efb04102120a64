import subprocess
import sys

import pytest

import linkup_nb as lu

PUBLIC = [
    "AudioMessage",
    "Bot",
    "Connection",
    "Core",
    "Corestore",
    "Drive",
    "ExportReport",
    "FileMessage",
    "HyperDHT",
    "IconMessage",
    "Kademlia",
    "KeyPair",
    "LinkupError",
    "Local",
    "Message",
    "Node",
    "Panel",
    "PeerError",
    "Room",
    "Server",
    "Swarm",
    "TextMessage",
    "UnknownMessage",
    "UsageError",
    "chat",
    "connect",
    "explore",
    "import_profile",
    "lab",
    "listen",
    "run",
    "share",
    "start",
    "swarm_view",
    "verify_export",
]
JUPYTER = ("IPython", "ipykernel", "ipywidgets", "anywidget", "ipywebrtc", "jupyter_client", "jupyterlab", "traitlets")


def test_the_public_names() -> None:
    assert lu.__all__ == PUBLIC
    assert set(PUBLIC) < set(dir(lu))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(lu, name) is getattr(lu, name)


def test_a_name_that_does_not_exist_is_missing_as_usual() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        _ = lu.Nonsense


@pytest.mark.parametrize(
    "module", ["linkup_nb", "linkup_nb.wire.secret_stream", "linkup_nb.swarm.swarm", "linkup_nb.node"]
)
def test_nothing_below_the_notebook_needs_jupyter(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {JUPYTER} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_importing_the_package_alone_imports_none_of_its_parts() -> None:
    code = "import sys, linkup_nb; print([name for name in sys.modules if name.startswith('linkup_nb.')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
