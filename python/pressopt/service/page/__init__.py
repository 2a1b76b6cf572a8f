"""The page: files that a browser runs, nothing from elsewhere. All that it shows and does goes through ``/v1``.

Plain modules without a build step and without a framework (docs/decisions/0009): an operator's tablet must be able
to keep what was entered while the connection is lost, so the page holds its own state instead of the server.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

FILES = Path(__file__).parent / "files"


def mount_page(app: FastAPI) -> None:
    """Serve the page at ``/`` and what it loads below ``/page``."""

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        """The page; which view it shows is said behind ``#``."""
        return FileResponse(FILES / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/page", StaticFiles(directory=FILES), name="page")
