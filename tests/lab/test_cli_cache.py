"""`swarmlab cache`: what caches hold and what goes, told to a person and as JSON; nothing else is touched."""

import json
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from swarmlab.cli import app, caches, main
from swarmlab.lab.caches import find_caches
from swarmlab.tools.cache import Cache, Cost
from swarmlab.trace.clock import VirtualClock

Answer = tuple[int, str, str]
Command = Callable[..., Answer]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `swarmlab cache …` here; returns exit code, output and errors."""
    assert caches.cache_app

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["swarmlab", "cache", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with two caches of one experiment and one of another."""
    folder = tmp_path / "results"
    one = Cache(folder / "levels" / ".cache" / "aa", ("tools", "completions"))
    one.put("tools", "a" * 64, {"facts": [1]}, Cost(1.5), tag="market_share", data="d1" * 32)
    one.put("tools", "b" * 64, {"facts": [2]}, Cost(2.5), tag="growth", data="d1" * 32)
    one.put("completions", "c" * 64, "said", Cost(8.0, 120), tag="full", data="d2" * 32)
    one.get("tools", "a" * 64)
    one.close()
    two = Cache(folder / "levels" / ".cache" / "facts", ("known",), clock=VirtualClock())
    two.put("known", "d" * 64, {}, tag="truth")
    two.close()
    three = Cache(folder / "other" / ".cache" / "bb", ("tools",))
    three.put("tools", "a" * 64, {}, tag="growth")
    three.close()
    return folder


def _kept(results: Path) -> list[tuple[str, str, str]]:
    """Folder, layer and first letter of the key of every entry on disk."""
    found = []
    for folder in find_caches(str(results)):
        assert isinstance(folder, Path)
        db = sqlite3.connect(folder / "cache.sqlite")
        rows = db.execute("SELECT layer, substr(key, 1, 1) FROM swarmlab_cache_entries ORDER BY 1, 2")
        found += [(folder.name, *row) for row in rows]
        db.close()
    return found


ALL = [
    ("aa", "completions", "c"),
    ("aa", "tools", "a"),
    ("aa", "tools", "b"),
    ("facts", "known", "d"),
    ("bb", "tools", "a"),
]


def test_stats_tell_each_cache_and_layer(cache: Command, results: Path) -> None:
    """Entries, bytes, hits and savings by layer, for a person and as JSON; the same from any folder above."""
    code, output, _ = cache("stats", results, "--json")
    assert code == 0
    first, second, third = json.loads(output)
    assert [Path(told["place"]).name for told in (first, second, third)] == ["aa", "facts", "bb"]
    completions, tools = first["stats"]["layers"]
    assert (completions["layer"], completions["n"], completions["tokens"]) == ("completions", 1, 120)
    assert (tools["layer"], tools["n"], tools["hits"], tools["seconds"]) == ("tools", 2, 1, 4.0)
    assert tools["oldest"] <= tools["newest"] <= completions["newest"]
    assert second["stats"]["layers"][0]["oldest"] is None
    assert first["problem"] is None
    assert first["file_bytes"] == (results / "levels/.cache/aa/cache.sqlite").stat().st_size
    code, output, _ = cache("stats", results)
    assert code == 0
    assert [line.partition(" tools ")[2].split()[0] for line in output.splitlines() if " tools " in line] == [
        *("2", "1")
    ]
    assert cache("stats", results / "levels", "--json")[1] == json.dumps([first, second], indent=2) + "\n"
    assert json.loads(cache("stats", results / "levels/.cache/aa", "--json")[1]) == [first]


def test_the_place_is_results_by_default(
    cache: Command, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `swarmlab run` writes."""
    monkeypatch.chdir(results.parent)
    assert [told["place"] for told in json.loads(cache("stats", "--json")[1])] == [
        "results/levels/.cache/aa",
        "results/levels/.cache/facts",
        "results/other/.cache/bb",
    ]


def test_list_tells_each_entry(cache: Command, results: Path) -> None:
    """What made it, its key, size and cost; a simulated one has no age; as many as asked for are shown."""
    code, output, _ = cache("list", results, "--json")
    assert code == 0
    entries = [entry for told in json.loads(output) for entry in told["entries"]]
    assert [(e["layer"], e["tag"], e["key"][0]) for e in entries] == [
        ("completions", "full", "c"),
        ("tools", "market_share", "a"),
        ("tools", "growth", "b"),
        ("known", "truth", "d"),
        ("tools", "growth", "a"),
    ]
    assert [e["created"] is None for e in entries] == [False, False, False, True, False]
    assert (entries[0]["seconds"], entries[0]["tokens"], entries[0]["data"]) == (8.0, 120, "d2" * 32)
    code, output, _ = cache("list", results / "levels", "--layer", "tools")
    assert "market_share" in output
    assert "full" not in output
    code, output, _ = cache("list", results / "levels", "--limit", 1)
    assert "and 2 more" in output
    assert "simulated" in output
    assert "growth" not in output


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (["--layer", "tools"], "ab a"),
        (["--tool", "growth"], "b a"),
        (["--tool", "growth", "--data", "d1" * 32], "b"),
        (["--data", "d2" * 32], "c"),
        (["--older-than", "1h"], ""),
        (["--older-than", "0s"], "cab a"),
        (["--max-bytes", "0"], "cab d a"),
        (["--max-bytes", "1GiB"], ""),
    ],
)
def test_prune_removes_what_is_said(cache: Command, results: Path, options: list[str], gone: str) -> None:
    """By layer, tool, data, age or size: a dry run tells what then goes; simulated ones do not age."""
    n_gone = len(gone.replace(" ", ""))
    code, output, _ = cache("prune", results, *options, "--dry-run")
    assert code == 0
    assert f"in all {n_gone} entr{'y' if n_gone == 1 else 'ies'} would go" in output
    assert _kept(results) == ALL
    code, done, _ = cache("prune", results, *options)
    assert code == 0
    assert done == output.replace("would go", "removed")
    left = [entry for entry in ALL if entry not in _gone(gone)]
    assert _kept(results) == left


def _gone(text: str) -> list[tuple[str, str, str]]:
    """The entries of a text in which each cache's keys are a word."""
    words = text.split()
    named = [entry for entry in ALL[:3] if words and entry[2] in words[0] and words[0] != "a"]
    named += [entry for entry in ALL[3:] if entry[2] in words[1:]]
    return named


def test_a_run_goes_on_with_a_cache_that_is_cleared(cache: Command, results: Path) -> None:
    """Who has it open finds it empty and fills it again; the folder's other files are not touched."""
    folder = results / "levels/.cache/aa"
    (folder / "primed").touch()
    (folder / "cache.sqlite.quarantined-1").write_text("damaged")
    running = Cache(folder, ("tools",))
    code, output, _ = cache("clear", results, "--yes")
    assert code == 0
    assert "in all 5 entries removed" in output
    assert _kept(results) == []
    assert running.get("tools", "a" * 64) is None
    running.put("tools", "a" * 64, 1)
    assert running.get("tools", "a" * 64) == 1
    running.close()
    assert (folder / "primed").exists()
    assert not (folder / "cache.sqlite.quarantined-1").exists()


def test_clear_asks_first(results: Path) -> None:
    """Without a yes nothing goes."""
    for answer, code, left in (("n", 1, ALL), ("", 1, ALL), ("y", 0, [])):
        done = CliRunner().invoke(app, ["cache", "clear", str(results)], input=f"{answer}\n")
        assert done.exit_code == code
        assert "Remove all entries of 3 caches?" in done.output
        assert _kept(results) == left


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no database at all, whatever its name" * 40, "damaged"),
        ("CREATE TABLE accounts (name TEXT)", "another program's"),
        ("CREATE TABLE entries (layer TEXT, key TEXT, value TEXT, checksum TEXT)", "older swarmlab"),
        ("PRAGMA user_version = 9", "damaged"),
    ],
)
def test_what_is_no_cache_is_left_alone(
    cache: Command, results: Path, content: bytes | str, said: str
) -> None:
    """A file of that name that is damaged, foreign or old is told of, and no command changes a byte of it."""
    path = results / "levels/.cache/aa/cache.sqlite"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        if "user_version" not in content:
            path.unlink()
        db = sqlite3.connect(path)
        db.execute(content)
        db.close()
    before = path.read_bytes()
    for arguments in (["stats"], ["list"], ["prune", "--tool", "growth"], ["clear", "--yes"]):
        code, output, _ = cache(arguments[0], results, *arguments[1:])
        assert code == 0
        assert said in " ".join(output.split())
        assert path.read_bytes() == before


def test_stats_tell_what_went_wrong(cache: Command, results: Path) -> None:
    """Damaged entries and files that were set aside are counted where a person looks."""
    folder = results / "levels/.cache/aa"
    db = sqlite3.connect(folder / "cache.sqlite")
    db.execute("UPDATE swarmlab_cache_entries SET tokens = 1 WHERE layer = 'completions'")
    db.commit()
    db.close()
    damaged = Cache(folder, ("completions",))
    assert damaged.get("completions", "c" * 64) is None
    damaged.close()
    (folder / "cache.sqlite.quarantined-1").write_text("damaged")
    output = cache("stats", results)[1]
    assert "1 damaged and quarantined; damaged files set aside: cache.sqlite.quarantined-1" in output


def test_all_commands_work_at_a_databases_address(cache: Command, tmp_path: Path) -> None:
    """A team's cache is named by where it is."""
    pytest.importorskip("sqlalchemy", reason="no SQLAlchemy here")
    address = f"sqlite:///{tmp_path}/team.sqlite"
    team = Cache(address, ("tools",))
    for key in ("a", "b"):
        team.put("tools", key, 1, tag=f"made by {key}")
    assert json.loads(cache("stats", address, "--json")[1])[0]["stats"]["layers"][0]["n"] == 2
    assert "made by a" in cache("list", address)[1]
    assert cache("prune", address, "--tool", "made by a") == (0, f"{address}: 1 entry removed (251 B)\n", "")
    assert cache("clear", address, "--yes") == (0, f"{address}: 1 entry removed (251 B)\n", "")
    team.close()


def test_a_cache_of_no_use_is_an_error_by_its_own_name(cache: Command, results: Path) -> None:
    """Among others it is a line, named alone it is exit code 2; its file is left as it is."""
    path = results / "levels/.cache/aa/cache.sqlite"
    path.write_bytes(b"no database" * 200)
    for command in (["stats"], ["list"], ["prune", "--tool", "x"], ["clear", "--yes"]):
        assert cache(command[0], results, *command[1:])[0] == 0
        code, _, errors = cache(command[0], path.parent, *command[1:])
        assert (code, errors.count("\n")) == (2, 1)
        assert "is damaged" in errors
    assert path.read_bytes() == b"no database" * 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stats", "nowhere"], "no caches at nowhere: there is no such folder"),
        (["stats", "empty"], "no caches at empty: no level that caches has run there yet"),
        (["list", "nowhere"], "nowhere"),
        (["clear", "nowhere", "--yes"], "nowhere"),
        (["prune", "results"], "say what is to go"),
        (["prune", "results", "--older-than", "soon"], "'soon' is not an age"),
        (["prune", "results", "--older-than", "-7d"], "is not an age"),
        (["prune", "results", "--older-than", "99999999w"], "before any date"),
        (["prune", "results", "--max-bytes", "much"], "is not a size"),
        (["prune", "results", "--max-bytes", "1MB", "--tool", "x"], "without the other options"),
        (["prune", "nowhere", "--tool", "x"], "nowhere"),
        (["stats", "oracle://me:geheim@host/db"], "cannot be kept in 'oracle'"),
        (["clear", "--yes", "sqlite:///nothing.sqlite"], "there is no such file"),
    ],
)
def test_bad_input_is_one_line(
    cache: Command, results: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """Exit code 2, what is wrong, and nothing removed."""
    monkeypatch.chdir(results.parent)
    Path("empty").mkdir()
    code, output, errors = cache(*arguments)
    assert code == 2
    assert said in errors
    assert errors.count("\n") == 1
    assert "geheim" not in errors + output
    assert _kept(results) == ALL


@pytest.mark.parametrize(
    "arguments", [["list", "RESULTS", "--layer", "tool"], ["prune", "RESULTS", "--layer", "tool"]]
)
def test_an_unknown_layer_is_a_mistake(cache: Command, results: Path, arguments: list[str]) -> None:
    """Exit code 2 with the layers that there are, and not a list of nothing."""
    code, _, errors = cache(*(str(results) if a == "RESULTS" else a for a in arguments))
    assert code == 2
    assert "'tool' is not one of 'tools', 'completions'" in errors
    assert _kept(results) == ALL


def test_an_empty_name_is_no_place(cache: Command, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`clear ""`, of a script whose variable is not set, does not mean the folder that it is called in."""
    monkeypatch.chdir(results)
    code, _, errors = cache("clear", "", "--yes")
    assert code == 2
    assert "there is no such folder" in errors
    assert _kept(results) == ALL


def test_a_folder_that_goes_while_caches_are_looked_for_is_passed_over(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run beside it may remove a folder between its being listed and its being opened."""
    gone = results / "gone"
    gone.mkdir()
    scandir = os.scandir

    def late(path: str) -> object:
        if Path(path).name == "gone":
            gone.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", late)
    assert len(find_caches(str(results))) == 3


def test_stats_count_the_files_of_large_values(cache: Command, results: Path) -> None:
    """A value that is kept in a file beside the database is in the bytes on disk; cleared, it is not."""
    folder = results / "levels/.cache/aa"
    with closing(Cache(folder, ("tools",))) as kept:
        kept.put("tools", "large", "x" * 500_000)
    told = json.loads(cache("stats", folder, "--json")[1])[0]
    assert told["file_bytes"] > (folder / "cache.sqlite").stat().st_size + 500_000
    assert cache("clear", folder, "--yes")[0] == 0
    told = json.loads(cache("stats", folder, "--json")[1])[0]
    assert told["file_bytes"] == (folder / "cache.sqlite").stat().st_size
