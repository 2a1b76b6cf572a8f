"""What commands for a service's store share: how it is named."""

from __future__ import annotations

import rich_click as click

store_option = click.option(
    "--store",
    envvar="PRESSOPT_STORE",
    default="pressopt-service",
    show_default=True,
    help="Folder of the service's store, or postgresql://user@host/database.",
)
