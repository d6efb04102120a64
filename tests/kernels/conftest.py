from pathlib import Path

import pytest

from tests.kernels import environments
from tests.kernels.environments import SENDS_DURING_A_CELL, Kernel


@pytest.fixture(scope="package")
def interpreters() -> dict[str, Path]:
    return environments.interpreters()


@pytest.fixture(params=SENDS_DURING_A_CELL)
def kernel(request: pytest.FixtureRequest, interpreters: dict[str, Path]) -> Kernel:
    """Each of the kernels that people have, one after the other."""
    return Kernel(request.param, interpreters[request.param])
