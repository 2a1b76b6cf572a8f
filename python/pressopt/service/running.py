"""A service with all its parts: what routes and page work with."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import metadata

from pressopt.campaign.ledger import Ledger
from pressopt.service.access import LOCAL, Role, holder
from pressopt.service.campaigns import Campaigns
from pressopt.service.host import By, Host
from pressopt.service.looking import Looking
from pressopt.service.notices import Notices
from pressopt.service.presses import Presses
from pressopt.service.settings import Settings
from pressopt.service.watching import Watching


@dataclass(frozen=True)
class Running:
    """The parts of a running service.

    Attributes:
        settings: As it was started.
        host: Campaigns in memory, the one writer, live events (``host.feed``), lists (``host.summaries``).
        campaigns: Acts on campaigns and trials.
        presses: The presses and their runners.
        looking: Everything that can be looked at.
    """

    settings: Settings
    host: Host
    campaigns: Campaigns
    presses: Presses
    looking: Looking

    @property
    def version(self) -> str:
        """Of pressopt."""
        return metadata.version("pressopt")

    def who(self, authorization: str) -> By:
        """Return who asks.

        Raises:
            Refused: A token is demanded and there is no valid one.
        """
        if self.settings.local and not authorization:
            return By(LOCAL, Role.administrator.name)
        token = holder(self.host.state, authorization)
        return By(token.name, token.role)


@contextlib.asynccontextmanager
async def run_service(settings: Settings, ledger: Ledger) -> AsyncIterator[Running]:
    """Run a service on a ledger; everything that was acknowledged is on disk when this ends.

    Raises:
        InputError: It would listen where others reach it, and nobody has a token.
    """
    async with Host(ledger) as host:
        settings.refuse_without_tokens(host.state)
        campaigns = Campaigns(host)
        presses = Presses(host, campaigns, settings.presses)
        if settings.receivers is not None:
            Notices(host, settings.receivers, settings.presses)
        if settings.presses:
            host.spawn(Watching(host, settings).run())
        yield Running(settings, host, campaigns, presses, Looking(host))
