"""Device profiles: the shipped ones are right, and a wrong one is told everything that is wrong with it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pressopt.profiles as package
from pressopt.errors import ProfileError
from pressopt.profiles import load_profile, parse_profile, profile_schema, shipped_profiles

PRESS = (Path(package.__file__).parent / "shipped" / "generic-plc-press-tcp.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_shipped_profile_loads_under_its_own_name(name: str) -> None:
    """A shipped profile is called as its file, and passes all checks."""
    assert load_profile(name).name == name


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_shipped_profile_fits_the_schema(name: str) -> None:
    """The generated JSON Schema accepts what is shipped."""
    text = (Path(package.__file__).parent / "shipped" / f"{name}.toml").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator(profile_schema()).validate(tomllib.loads(text))


def test_the_schema_refuses_unknown_keys() -> None:
    """An editor with the schema marks a key that does not exist."""
    raw = tomllib.loads(PRESS) | {"colour": "red"}
    assert not jsonschema.Draft202012Validator(profile_schema()).is_valid(raw)


def test_both_presses_have_one_map() -> None:
    """The RTU press differs from the TCP press in its link alone."""
    tcp, rtu = load_profile("generic-plc-press-tcp"), load_profile("generic-plc-press-rtu")
    assert (tcp.signals, tcp.actions, tcp.limits, tcp.press) == (rtu.signals, rtu.actions, rtu.limits, rtu.press)
    assert (tcp.link.engine, rtu.link.engine, rtu.link.parity) == ("modbus-tcp", "modbus-rtu", "E")


def test_an_own_file_gives_only_what_differs(tmp_path: Path) -> None:
    """``extends`` takes the rest from a shipped profile, or from a file beside it."""
    (tmp_path / "a.toml").write_text(
        'extends = "generic-plc-press-tcp"\nname = "bench-1"\n[limits]\nforce_kn = 25.0\n'
    )
    (tmp_path / "b.toml").write_text('extends = "./a.toml"\nname = "bench-2"\n')
    second = load_profile(tmp_path / "b.toml")
    assert (second.name, second.limits.force_kn, second.limits.temperature_c) == ("bench-2", 25.0, 200.0)


BAD: list[tuple[str, str, str, str]] = [
    # what is replaced, by what, key, words
    ('kind = "press"', 'kind = "pres"', "kind", "'pres' is not allowed"),
    ("[limits]", "[limitz]\n[limits]", "limitz", "did you mean 'limits'"),
    ("force_kn = 60.0", "force_kn = 70.0", "limits.force_kn", "0.02 to 65 kN"),
    ("force_kn = 60.0", "", "limits.force_kn", "needs this limit"),
    ("force_kn = 60.0", "force_kn = nan", "limits.force_kn", "nan is not allowed"),
    ("temperature_c = 200.0", "temperature_c = 400.0", "limits.temperature_c", "20 to 250 °C"),
    ("capacity_kn = 65.0", 'capacity_kn = "heavy"', "press.capacity_kn", "'heavy' is not allowed"),
    ("min_controllable_kn = 0.02", "min_controllable_kn = 0.0001", "press.min_controllable_kn", "one step"),
    ('unit = "N", valid', 'unit = "ton", valid', "signals.force_kn.unit", "ton_force_us (8.896 kN)"),
    ('unit = "N", valid', 'unit = "MPa", valid', "signals.force_kn.unit", "oil MPa"),
    ('unit = "N", valid', 'unit = "oil bar", valid', "signals.force_kn.unit", "ram_diameter_mm"),
    ('unit = "N", valid', 'unit = "degC", valid', "signals.force_kn.unit", "a temperature, 'force_kn' is a force"),
    ('unit = "N", valid', 'unit = "dyn", valid', "signals.force_kn.unit", "not known"),
    ('"input", address = 12', '"input", address = 11', "signals.temperature_c.at", "overlaps input 10-11"),
    ("bit = 1", "bit = 0", "signals.estop_ok.at", "overlaps"),
    ('"holding", address = 120', '"holding", address = 101', "heartbeat.at", "overlaps"),
    ("address = 120", "address = 65536", "heartbeat.at.address", "65536 is not allowed"),
    ('"input", address = 13', '"coil", address = 13', "signals.state.at", "write type = 'bool'"),
    ('requires = ["guard_closed", "estop_ok", "remote_enabled"]\nconfirm = { signal = "state"',
     'confirm = { signal = "state"', "actions.start.requires", "moves the machine"),
    ('"guard_closed", "estop_ok", "remote_enabled"]\nconfirm = { signal = "state"',
     '"gard_closed"]\nconfirm = { signal = "state"', "actions.start.requires", "did you mean 'guard_closed'"),
    ('confirm = { signal = "state", becomes = ["ramp", "hold", "release"], within_s = 2.0 }', "",
     "actions.start.confirm", "moves the machine"),
    ('becomes = ["ramp", "hold", "release"]', 'becomes = ["running"]', "actions.start.confirm", "never becomes"),
    ("always_allowed = true", "", "actions.stop", "must be possible always"),
    ("always_allowed = true", 'always_allowed = true\nrequires = ["estop_ok"]', "actions.stop", "possible always"),
    ("[actions.stop]", "[actions.halt]", "actions.stop", "a press needs it"),
    ("[actions.stop]", "[actions.halt]", "actions.halt", "no such action"),
    ('9 = "fault" }', '8 = "broken" }', "signals.state.values", "no number means 'fault'"),
    ("period_s = 1.0", "period_s = 8.0", "heartbeat.period_s", "at most 5 s"),
    ('engine = "modbus-tcp"', 'engine = "scpi"', "link.engine", "does not drive a press"),
    ('url = "tcp://192.168.0.10:502"', 'url = "/dev/ttyUSB0"', "link.url", "no TCP address"),
    ("silence_s = 0.6", "silence_s = 0.1", "link.silence_s", "late reply"),
    ('address = 100, type = "int32" }, unit = "N", readback',
     'address = 100, type = "int16" }, unit = "N", readback', "actions.set_force_kn.at", "cannot hold 60 kN"),
    ('unit = "N", readback = true', 'unit = "N"', "actions.set_force_kn.readback", "may be lost"),
    (", interlock = true", "", "signals", "interlock = true"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "words"), BAD)
def test_a_wrong_profile_is_told_key_and_reason(old: str, new: str, key: str, words: str) -> None:
    """Each mistake is found under its key, in words that say what to do."""
    assert old in PRESS
    with pytest.raises(ProfileError) as told:
        parse_profile(PRESS.replace(old, new), source="mine.toml")
    found = {violation.where: violation.message for violation in told.value.violations}
    assert key in found
    assert words in "\n".join(violation.message for violation in told.value.violations if violation.where == key)


def test_all_mistakes_are_told_at_once_with_their_lines() -> None:
    """Three mistakes are three violations, and each knows its line."""
    text = PRESS.replace("force_kn = 60.0", "force_kn = 500.0").replace("bit = 1", "bit = 0")
    text = text.replace("always_allowed = true", "")
    with pytest.raises(ProfileError) as told:
        parse_profile(text, source="mine.toml")
    lines = text.splitlines()
    by_key = {violation.where: violation.line for violation in told.value.violations}
    assert set(by_key) == {"limits.force_kn", "signals.estop_ok.at", "actions.stop"}
    assert lines[(by_key["limits.force_kn"] or 0) - 1].startswith("force_kn = 500.0")
    assert lines[(by_key["signals.estop_ok.at"] or 0) - 1].startswith("estop_ok")
    assert lines[(by_key["actions.stop"] or 0) - 1].startswith("[actions.stop]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = \n", "line 1: is no TOML"),
        ('extends = "generic-plc-pres-tcp"\n', "did you mean 'generic-plc-press-tcp'"),
        ('extends = "./nowhere.toml"\n', "cannot be read"),
        ("extends = 3\n", "in quotes"),
    ],
)
def test_a_file_that_is_none_says_so(text: str, words: str) -> None:
    """No TOML, an unknown parent, a missing parent: ProfileError, never a foreign error."""
    with pytest.raises(ProfileError) as told:
        parse_profile(text, source="mine.toml")
    assert words in str(told.value)


def test_a_circle_of_files_is_refused(tmp_path: Path) -> None:
    """Two files that extend each other end in a message, not in recursion."""
    (tmp_path / "a.toml").write_text('extends = "./b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "./a.toml"\n')
    with pytest.raises(ProfileError, match="circle"):
        load_profile(tmp_path / "a.toml")


def test_oil_pressure_becomes_force_through_the_ram() -> None:
    """A press that counts oil bar with an 80 mm ram: 1 bar is 0.503 kN (24 tf at 46.8 MPa)."""
    text = PRESS.replace(
        'address = 10, type = "int32" }, unit = "N"', 'address = 10, type = "int32" }, unit = "oil bar"'
    )
    profile = parse_profile(text.replace('stroke = "up"', 'stroke = "up"\nram_diameter_mm = 80.0'), source="x")
    assert profile.value_of("force_kn", 1) == pytest.approx(0.503, abs=0.0005)
    assert profile.value_of("force_kn", 468) / 9.80665 == pytest.approx(24.0, abs=0.05)


@given(force_kn=st.floats(0.0, 120.0))
def test_a_rounded_force_is_never_more_than_asked(force_kn: float) -> None:
    """Whatever is asked, the register holds at most it and is less than one step below."""
    profile = load_profile("generic-plc-press-tcp")
    written = profile.raw_of("set_force_kn", force_kn) * 0.001
    assert force_kn - 0.001 <= written <= force_kn + 1e-8


@pytest.mark.parametrize(
    ("unit", "raw", "kn"), [("tf", 1, 9.80665), ("ton_force_us", 1, 8.8964), ("ton_force_uk", 1, 9.964)]
)
def test_the_three_tons_are_three_forces(unit: str, raw: int, kn: float) -> None:
    """Metric, US and UK ton-force are told apart."""
    text = PRESS.replace(
        'address = 10, type = "int32" }, unit = "N"', f'address = 10, type = "int32" }}, unit = "{unit}"'
    )
    assert parse_profile(text, source="x").value_of("force_kn", raw) == pytest.approx(kn, rel=1e-4)


GUIDE = Path(__file__).parents[2] / "docs" / "device-profiles.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split('"')[1])
def test_every_example_of_the_guide_loads(example: str) -> None:
    """What docs/device-profiles.md shows are profiles."""
    assert parse_profile(example, source=str(GUIDE)).trust in ("documented", "twin")


def test_the_numbers_of_the_guide_are_right() -> None:
    """One bar of oil under an 80 mm ram is 0.503 kN, as its first example says."""
    profile = parse_profile(EXAMPLES[0], source=str(GUIDE))
    assert (profile.name, profile.limits.force_kn) == ("press-1", 40.0)
    assert profile.value_of("force_kn", 1) == pytest.approx(0.503, abs=0.0005)


def test_every_profile_that_the_guide_names_is_shipped() -> None:
    """No name in the guide is out of date."""
    named = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", GUIDE.read_text(encoding="utf-8")))
    words = {"high-first", "low-first", "high-first-swapped", "low-first-swapped"}
    assert named - words <= set(shipped_profiles())
    assert {"keysight-e4980a", "zahner-zennium"} <= named
