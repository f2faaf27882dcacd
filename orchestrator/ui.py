"""MLflow's pages on the store that sweeps write to; on this machine only, on a free port."""

from __future__ import annotations

import socket
import subprocess
import sys

from orchestrator.tracking.address import tracking_uri_of
from orchestrator.tracking.masking import without_password

__all__ = ["free_port", "serve"]


def serve(uri: str | None, port: int = 0) -> int:
    """Run the server until it ends or Ctrl-C; returns its exit code. A server that is there already is named."""
    store = tracking_uri_of(uri)
    if store.startswith(("http://", "https://")):
        print(f"MLflow is served at {without_password(store)} already")
        return 0
    port = port or free_port()
    print(f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store, "--host", "127.0.0.1"]
    with subprocess.Popen([*command, "--port", str(port)]) as server:  # noqa: S603 - fixed arguments
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
            return 0


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
