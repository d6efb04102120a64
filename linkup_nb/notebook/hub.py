"""Where a browser finds this machine's ports when the kernel is JupyterHub's or Binder's."""

import os
from importlib.util import find_spec


def proxy() -> str | None:
    """The address of `jupyter-server-proxy` for this kernel; `None` without a hub, or without that package.

    `JUPYTERHUB_SERVICE_PREFIX` and `JUPYTERHUB_PUBLIC_URL`: https://jupyterhub.readthedocs.io, "Spawner environment".
    Without the hub's public address it is a path on the host of the notebook.
    """
    path = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    if not path or find_spec("jupyter_server_proxy") is None:
        return None
    return f"{(os.environ.get('JUPYTERHUB_PUBLIC_URL') or path).rstrip('/')}/proxy"
