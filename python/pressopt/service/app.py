"""The web application: the routes under guards, on a service that lives as long as it does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib import metadata

from fastapi import FastAPI

from pressopt.campaign.ledger import Ledger
from pressopt.service import problems
from pressopt.service.guards import Guards
from pressopt.service.page import mount_page
from pressopt.service.routes import busiest, router
from pressopt.service.running import run_service
from pressopt.service.settings import Settings

_ABOUT = """Campaigns and presses over HTTP: open a campaign from an experiment file, let the presses of the
service work on it or ask and tell with your own, watch it live.

Every POST takes an `Idempotency-Key`: the same key with the same request gets the same answer and changes nothing
twice. Answers leave only after what they acknowledge is on disk. Errors are problem details (RFC 9457)."""


def create_app(settings: Settings, ledger: Ledger) -> FastAPI:
    """Return the application of a service; the ledger stays open when it ends.

    ``app.state.running`` is the :class:`pressopt.service.running.Running` while it runs.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with run_service(settings, ledger) as running:
            app.state.running = running
            yield

    app = FastAPI(
        title="pressopt",
        version=metadata.version("pressopt"),
        description=_ABOUT,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.include_router(busiest)
    app.include_router(router)
    mount_page(app)
    problems.install(app)
    app.add_middleware(
        Guards,
        body_bytes=settings.body_bytes,
        per_second=settings.per_second,
        local=settings.local,
    )
    return app
