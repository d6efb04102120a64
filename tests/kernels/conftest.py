from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kernels.environments import SENDS_DURING_A_CELL, Kernel, interpreter


@pytest.fixture(scope="package")
def interpreters() -> dict[str, Path]:
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SENDS_DURING_A_CELL, pool.map(interpreter, SENDS_DURING_A_CELL), strict=True))


@pytest.fixture(params=SENDS_DURING_A_CELL)
def kernel(request: pytest.FixtureRequest, interpreters: dict[str, Path]) -> Kernel:
    """Each of the kernels that people have, one after the other."""
    return Kernel(request.param, interpreters[request.param])
