"""``pressopt commission``: a person verifies a profile on the real machine, at low force, before any cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

if TYPE_CHECKING:
    from pressopt.instruments.commissioning import Finding
    from pressopt.profiles import DeviceProfile

_INTRODUCTION = """\
This verifies '{name}' on the real machine, in front of you, at the lowest force that tells.
First everything is read and compared with the machine's own displays; nothing is written. Then set points are
written and compared, and nothing moves. Then a press closes on a steel spacer, at about {low}.
Take cells and dies out. Keep the emergency stop in reach. pressopt is no safety function."""


@click.command()
@click.argument("profile")
@click.option("--url", help="Where the device is, instead of the profile's link.url.")
@click.option("--by", help="Your name, for the signature.")
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False),
              help="Write a profile of your own there, on top of PROFILE, and sign that.")  # fmt: skip
@click.option("--watchdog/--no-watchdog", default=True, show_default=True,
              help="Try the machine's own watchdog over the heartbeat.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object at the end.")
@click.pass_context
def commission(
    ctx: click.Context,
    profile: str,
    url: str | None,
    by: str | None,
    write: Path | None,
    watchdog: bool,
    as_json: bool,
) -> None:
    """Verify PROFILE (a file, or a shipped name with --write) on the real machine and sign it as `bench`.

    You read displays, open and close interlocks, and say yes before anything moves. A wrong word order, scale,
    address or unit shows as a difference, and the neighbouring registers say which. What agrees is signed in the
    file with a digest: a later change of the file voids the signature. Leaves with 5 when something did not agree.
    """
    from pressopt.clock import WallClock, utc_now
    from pressopt.errors import ProfileError
    from pressopt.instruments.commissioning import Commissioning
    from pressopt.instruments.device import machine_of
    from pressopt.profiles import load_profile
    from pressopt.profiles.signing import sign_profile, unsigned

    path = Path(profile)
    if write is None and not path.is_file():
        raise ProfileError(f"'{profile}' is no file that could be signed: give --write my-press.toml")
    if write is None and url is not None:
        raise ProfileError("a signature is for one address: write it as link.url in the file, or give --write")
    if write is not None:
        _write_own(write, profile, url)
        path = write
    loaded = _unsigned_profile(path, unsigned)
    if loaded.link.engine == "person":
        beside = "; commission its load indicator by a profile of its own" if loaded.parts else ""
        raise ProfileError(f"'{loaded.name}' is worked by a person: it has no wire that could be wrong{beside}")
    if loaded.press is None and loaded.heater is None and loaded.indicator is None:
        raise ProfileError(
            f"'{loaded.name}' is a {loaded.kind}: commissioning is for presses, temperature controllers and load "
            "indicators; try an analyser or meter on a known resistor with `pressopt eis`"
        )
    low = f"{loaded.limits.force_kn or 0:g} kN × 2 %" if loaded.press is not None else "the force of your hand"
    click.echo(_INTRODUCTION.format(name=loaded.name, low=low))
    person = _Terminal()
    clock = WallClock()
    machine = machine_of(loaded, clock)
    try:
        verified = Commissioning(machine, clock, person, watchdog=watchdog)
        findings = verified.run()
    finally:
        machine.close()
    signed: DeviceProfile | None = None
    if verified.good:
        who = by or click.prompt("Your name, for the signature")
        signed = sign_profile(
            path,
            by=who,
            date=utc_now().date().isoformat(),
            device=findings[0].detail,
            checked=[f"{one.what}: {one.detail}" for one in findings],
        )
        click.echo(f"{path} is signed: trust {signed.trust}, {load_profile(path).digest}")
    else:
        click.echo(f"{path} is not signed. Mend what is marked ✗ in the profile, and run this again")
    if as_json:
        click.echo(json.dumps(_result(path, findings, signed), ensure_ascii=False))
    if signed is None:
        ctx.exit(5)


def _result(path: Path, findings: list[Finding], signed: DeviceProfile | None) -> dict[str, Any]:
    return {
        "schema": "pressopt/commissioning/1",
        "file": str(path),
        "verified": signed is not None,
        "digest": signed.digest if signed is not None else None,
        "findings": [
            {"what": one.what, "good": one.good, "detail": one.detail, "causes": list(one.causes)}
            for one in findings
        ],
    }


def _write_own(write: Path, profile: str, url: str | None) -> None:
    """A profile of one's own on top of ``profile``, not signed yet."""
    from pressopt.errors import ProfileError

    if write.exists():
        raise ProfileError(f"{write} is there already: commission that file, or give another name")
    below = Path(profile)
    parent = str(below.resolve()) if below.is_file() else profile
    text = f'extends = "{parent}"\nname = "{write.stem}"\ntrust = "documented"\n'
    if url is not None:
        text += f'\n[link]\nurl = "{url}"\n'
    write.write_text(text, encoding="utf-8")


def _unsigned_profile(path: Path, unsigned: Any) -> DeviceProfile:
    """The profile without its signature: an old one does not matter to a new verification."""
    from pressopt.profiles import parse_profile

    text = unsigned(path.read_text(encoding="utf-8"))
    return parse_profile(text, source=str(path), folder=path.parent)


class _Terminal:
    """The person at this terminal."""

    def tell(self, text: str) -> None:
        click.echo(text)

    def ask(self, question: str) -> str:
        answer: str = click.prompt(f"? {question}", default="", show_default=False, prompt_suffix=": ")
        return answer

    def agrees(self, question: str) -> bool:
        return click.confirm(f"? {question}", default=False)
