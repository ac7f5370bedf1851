"""The profiles that swarmlab ships: they load, and a declared one says where its numbers come from."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from swarmlab.errors import SpecError
from swarmlab.models.profile import load_profile

FOLDER = Path(__file__).parents[2] / "experiments" / "profiles"
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))
LAST_LOOKED_UP = date(2026, 11, 25)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profile_loads_under_its_file_name(name: str) -> None:
    """A profile is found by name, passes every check, and is called what its file is called."""
    profile = load_profile(name)
    assert profile.name == name
    assert profile.about


@pytest.mark.parametrize("name", SHIPPED)
def test_sources_are_dated_and_used(name: str) -> None:
    """Each source says something, is not of the future, and covers a number that the profile states."""
    profile = load_profile(name)
    assert bool(profile.sources) == (profile.kind == "declared")
    stated = profile.model_dump(exclude={"calibration", "sources"}, exclude_unset=True)
    for field, source in profile.sources.items():
        assert len(source.source.split()) >= 5, field
        assert source.date <= LAST_LOOKED_UP, field
        at = stated
        for part in field.split("."):
            assert part in at, f"{field} names nothing in the profile"
            at = at[part]


@pytest.mark.parametrize("name", SHIPPED)
def test_source_is_a_page_or_owns_up_to_an_assumption(name: str) -> None:
    """A number is either cited, taken from a named file or profile, or called an assumption."""
    known = r"https?://|[Aa]ssumption of swarmlab|embedded-2core|source_study\.yaml|same (page|as)"
    for field, source in load_profile(name).sources.items():
        assert re.search(known, source.source), field


def test_hosted_profiles_share_the_machine_of_the_calibrated_one() -> None:
    """A hosted model's tools run where the embedded one's do, so they cost the same."""
    embedded = load_profile("embedded-2core")
    hosted = [load_profile(name) for name in SHIPPED if name.startswith(("openai", "anthropic", "groq"))]
    assert len(hosted) >= 3
    for profile in hosted:
        assert profile.tools == embedded.tools, profile.name
        assert profile.overhead == embedded.overhead, profile.name


@pytest.mark.parametrize("name", [n for n in SHIPPED if load_profile(n).kind == "declared"])
@pytest.mark.parametrize("field", ["decode", "tools", "text"])
def test_declared_number_without_a_source_is_refused(name: str, field: str, tmp_path: Path) -> None:
    """Taking a source away makes the profile unusable, and the error names the number that has none."""
    document = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    document["sources"] = {k: s for k, s in document["sources"].items() if k.partition(".")[0] != field}
    path = tmp_path / "profile.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(SpecError, match=rf"source for each number; '{field}\."):
        load_profile(str(path))
