"""``pressopt schema``: the JSON Schema of experiment files, for editors and programs."""

from __future__ import annotations

import json

import rich_click as click


@click.command()
@click.option("--output", "-o", type=click.Path(dir_okay=False, writable=True), help="Write to this file instead.")
def schema(output: str | None) -> None:
    """Print the JSON Schema (draft 2020-12) of experiment files.

    Editors with TOML support complete and check with it. What only makes sense between several keys is checked by
    `pressopt check` alone.
    """
    from pressopt.campaign.schema import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
    else:
        with open(output, "w", encoding="utf-8") as file:
            file.write(text + "\n")
