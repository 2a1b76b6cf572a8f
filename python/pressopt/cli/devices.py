"""``pressopt devices``: which devices there are profiles for, whether a profile is right, and what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

if TYPE_CHECKING:
    from pressopt.profiles import DeviceProfile

_TRUST = {
    "documented": "from its manual; try it at low force before the first cell",
    "twin": "driven against the virtual laboratory",
    "bench": "verified on a real machine and signed",
}


@click.group()
def devices() -> None:
    """List, check and show device profiles.

    A profile is a TOML file that says how one device is reached, what it says and what it may be told. The guide
    is docs/device-profiles.md. Before the first cell: `pressopt commission PROFILE`.
    """


@devices.command("list")
@click.option("--kind", help="Only profiles of this kind, such as press or impedance-analyzer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")
def list_profiles(kind: str | None, as_json: bool) -> None:
    """List the profiles that come with pressopt, with how far each can be trusted."""
    from pressopt.profiles import load_profile, shipped_profiles

    found = [profile for profile in map(load_profile, shipped_profiles()) if kind in (None, profile.kind)]
    if as_json:
        rows = [_summary(profile) for profile in found]
        click.echo(json.dumps({"schema": "pressopt/devices/1", "devices": rows}, ensure_ascii=False))
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("profile", "kind", "engine", "trust", "what it is"):
        table.add_column(column, no_wrap=column == "profile", overflow="fold")  # the name is what people type
    for profile in sorted(found, key=lambda one: (one.kind, one.name)):
        table.add_row(profile.name, profile.kind, profile.link.engine, profile.trust, profile.title)
    _console().print(table)
    click.echo("\n".join(f"{trust}: {meaning}" for trust, meaning in _TRUST.items()))


@devices.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")
@click.pass_context
def check(ctx: click.Context, files: tuple[str, ...], as_json: bool) -> None:
    """Check profiles (names or files) and report everything that is wrong with them. Nothing is connected."""
    from pressopt.errors import ProfileError
    from pressopt.profiles import load_profile

    rows: list[dict[str, Any]] = []
    for name in files:
        try:
            rows.append({"file": name, "ok": True, "violations": [], **_summary(load_profile(_path(name)))})
        except ProfileError as refused:
            wrong = [{"where": v.where, "line": v.line, "message": v.message} for v in refused.violations]
            rows.append({"file": name, "ok": False, "violations": wrong})
            if not as_json:
                click.echo(f"✗ {name}:\n  " + "\n  ".join(map(str, refused.violations)))
            continue
        if not as_json:
            click.echo(f"✓ {name}: {rows[-1]['title']} ({rows[-1]['trust']})")
    good = all(row["ok"] for row in rows)
    if as_json:
        click.echo(
            json.dumps({"schema": "pressopt/devices-check/1", "ok": good, "files": rows}, ensure_ascii=False)
        )
    if not good:
        ctx.exit(2)


@devices.command()
@click.argument("profile")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")
def show(profile: str, as_json: bool) -> None:
    """Show all that PROFILE (a name or a file) says: signals, actions, limits, what is required and confirmed."""
    from dataclasses import asdict

    from pressopt.profiles import load_profile

    loaded = load_profile(_path(profile))
    if as_json:
        document = {"schema": "pressopt/device/1", "digest": loaded.digest, **asdict(loaded)}
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    _show(loaded)


def _show(profile: DeviceProfile) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = _console()
    console.print(f"[bold]{escape(profile.name)}[/]: {escape(profile.title)}")
    console.print(f"{profile.kind}, trust {profile.trust} ({_TRUST[profile.trust]})")
    if profile.bench is not None:
        console.print(
            f"signed by {escape(profile.bench.by)} on {profile.bench.date}: {escape(profile.bench.device)}"
        )
    console.print(f"source: {escape(profile.source or 'not said')}")
    console.print(f"link: {profile.link.engine} {escape(profile.link.url)}")
    limits = {name: getattr(profile.limits, name) for name in profile.limits.__slots__}
    told = ", ".join(f"{name} {value:g}" for name, value in limits.items() if value is not None)
    console.print(f"soft limits: {told or 'none'}")
    if profile.heartbeat is not None:
        heart = profile.heartbeat
        console.print(
            f"heartbeat: every {heart.period_s:g} s; without it the machine does '{heart.plc_does}' after "
            f"{heart.plc_timeout_s:g} s"
        )
    for part, of in profile.parts.items():
        console.print(f"part [bold]{escape(part)}[/]: {escape(of.name)}, {of.link.engine} {escape(of.link.url)}")
    if profile.signals:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for column in ("signal", "where", "unit", "scale", "words"):
            table.add_column(column, overflow="fold")
        for name, signal in profile.signals.items():
            words = ", ".join(filter(None, (*signal.values.values(), *signal.invalid.values())))
            mark = " (interlock)" if signal.interlock else ""
            table.add_row(name + mark, escape(str(signal.at)), signal.unit, f"{signal.scale:g}", escape(words))
        console.print(table)
    if profile.actions:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for column in ("action", "where", "unit", "requires", "confirmed by"):
            table.add_column(column, overflow="fold")
        for name, action in profile.actions.items():
            confirmed = action.confirm.signal if action.confirm else "readback" if action.readback else ""
            table.add_row(name, escape(str(action.at)), action.unit, ", ".join(action.requires), confirmed)
        console.print(table)


def _summary(profile: DeviceProfile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "kind": profile.kind,
        "title": profile.title,
        "engine": profile.link.engine,
        "trust": profile.trust,
        "source": profile.source,
        "digest": profile.digest,
    }


def _path(name: str) -> str | Path:
    """A file that lies here, or the name of a shipped profile."""
    return Path(name) if Path(name).is_file() else name


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 1000, highlight=False, soft_wrap=not sys.stdout.isatty())
