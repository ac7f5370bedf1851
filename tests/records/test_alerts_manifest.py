"""Alert rules and the environment."""

import json

import pytest
from fake_results import make_failed, make_record, make_spans

from swarmlab.errors import SpecError, StoreError
from swarmlab.records import manifest
from swarmlab.records.alerts import fired, load_rules, with_alerts
from swarmlab.records.manifest import (
    CpuReading,
    cpu_reading,
    environment,
    other_cpu_share,
    read_manifest,
    write_manifest,
)


def test_the_shipped_rules_mark_slow_runs_and_slow_tokens():
    """Over 30 s and under 20 tokens a second each fire; the limits themselves do not."""
    rules = load_rules()
    slow = make_record((), wall_ns=30_000_000_001, tokens_per_s=19.9)
    fair = make_record((), wall_ns=30_000_000_000, tokens_per_s=20.0)
    assert fired(slow, rules) == ("slow-run", "slow-tokens")
    assert with_alerts(fair, rules).alerts == ()


def test_what_was_not_measured_fires_nothing():
    """A failed run without figures breaks no threshold."""
    assert fired(make_failed(), load_rules()) == ()


def test_a_users_rules_replace_the_shipped_ones(tmp_path):
    """A file of one's own may watch any numeric column."""
    path = tmp_path / "rules.yaml"
    path.write_text(
        "- {name: thin, metric: fact_coverage, comparison: below, threshold: 1, message: a fact is missing}\n"
    )
    assert fired(make_record(make_spans(), fact_coverage=0.9), load_rules(path)) == ("thin",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "- {name: a, metric: speed, comparison: above, threshold: 1, message: m}",
            "field '0.metric': 'speed' is not",
        ),
        (
            "- {name: a, metric: level, comparison: above, threshold: 1, message: m}",
            "'level' is not a numeric",
        ),
        ("- {name: a, metric: load_s, comparison: over, threshold: 1, message: m}", "0.comparison"),
        ("- {name: a, metric: load_s, comparison: above, threshold: x, message: m}", "0.threshold"),
        ("- {name: a, metric: load_s, comparison: above, message: m}", "field '0.threshold': Field required"),
        ("- {name: A B, metric: load_s, comparison: above, threshold: 1, message: m}", "0.name"),
        ("rules: 3", "valid tuple"),
        ("- [", "is not YAML"),
        ("- &r {name: a, metric: load_s, comparison: above, threshold: 1, message: m}\n- *r", "there twice"),
    ],
)
def test_bad_rules_name_file_and_field(tmp_path, text, problem):
    """A rule that is wrong is one clear line with the file, the rule's place and the field."""
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_rules(path)
    assert str(path) in str(caught.value)
    assert problem in str(caught.value)


def test_missing_rules_are_an_error(tmp_path):
    """A rule file that is not there is named, and the shipped rules do not take its place."""
    with pytest.raises(SpecError, match=r"cannot read alert rules .*none\.yaml"):
        load_rules(tmp_path / "none.yaml")


def test_the_environment_says_machine_and_packages():
    """The environment is plain JSON with the facts that a reader needs, absent packages as null."""
    found = environment(["numpy", "no-such-package-here"])
    assert json.loads(json.dumps(found)) == found
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 0
    assert found["packages"]["numpy"]
    assert found["packages"]["no-such-package-here"] is None


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_cpu_quota_of_both_cgroup_versions(tmp_path, monkeypatch, files, cores):
    """The quota is read in cores from either interface; no limit is None."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(manifest, "_CGROUP", tmp_path)
    assert environment()["cpu_quota"] == cores


def test_other_cpu_share_counts_only_others():
    """Of the machine's CPU seconds, those that were neither idle nor ours are the others'."""
    before, after = CpuReading(100.0, 50.0, 10.0), CpuReading(120.0, 62.0, 17.0)
    assert other_cpu_share(before, after) == pytest.approx(0.25)
    assert other_cpu_share(before, CpuReading(120.0, 55.0, 16.0)) == 0.0
    assert other_cpu_share(before, before) is None
    assert other_cpu_share(None, after) is None


def test_cpu_is_read_from_proc_stat(tmp_path, monkeypatch):
    """Idle and waiting are not busy; guest time, which user time holds already, is not counted twice."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 400 50 6 7 8 90 10\ncpu0 1 2 3 4\n")
    monkeypatch.setattr(manifest, "_STAT", stat)
    monkeypatch.setattr(manifest.os, "sysconf", lambda _: 10)
    found = cpu_reading()
    assert (found.total_s, found.busy_s) == (62.1, 17.1)
    assert found.own_s >= 0


def test_without_proc_stat_there_is_no_reading(tmp_path, monkeypatch):
    """On a machine without /proc/stat the share is not known rather than zero."""
    monkeypatch.setattr(manifest, "_STAT", tmp_path / "none")
    assert cpu_reading() is None


def test_the_manifest_round_trip(tmp_path):
    """What is written is read; none written is empty; a broken one is an error."""
    assert read_manifest(tmp_path) == {}
    write_manifest(tmp_path, {"seed": 7, "clock": "wall"})
    assert read_manifest(tmp_path) == {"seed": 7, "clock": "wall"}
    with pytest.raises(StoreError, match="as JSON"):
        write_manifest(tmp_path, {"bad": float("nan")})
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match=r"manifest\.json unreadable"):
        read_manifest(tmp_path)
