"""Files of a profile: after a crash each is either the old one or the new one, and nobody else can read them."""

import os
import tempfile
from pathlib import Path


def write_private(path: Path, data: bytes) -> None:
    """Replace a file, with mode 0600; it is on disk when this returns."""
    # In the same directory, so that the replacement is atomic; made with mode 0600.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        written = Path(file.name)
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            written.unlink()
            raise
    written.replace(path)
