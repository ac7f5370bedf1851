"""The environment as part of the result: what machine and packages, and how busy others kept it."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from swarmlab.errors import StoreError
from swarmlab.records.atomic import write_text
from swarmlab.records.store import json_text

__all__ = [
    "CpuReading",
    "cpu_reading",
    "environment",
    "other_cpu_share",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "manifest.json"
_CGROUP = Path("/sys/fs/cgroup")
_STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class CpuReading:
    """CPU seconds since boot over all cores, and of this process with its children.

    `total_s` counts every core's seconds, `busy_s` those not idle (time stolen by other virtual machines
    among them), `own_s` those of this process tree, children already ended included.
    """

    total_s: float
    busy_s: float
    own_s: float


def environment(packages: Iterable[str] = ()) -> dict[str, Any]:
    """Describe the machine and the packages, ready for JSON; what cannot be known is None.

    Parameters
    ----------
    packages
        Distribution names to look up; one that is not installed maps to None.

    Returns
    -------
    dict
        cpu_model, cores, cores_usable, cpu_quota (cores, None when unlimited), load_average (over 1, 5 and
        15 minutes), memory_bytes, memory_limit_bytes (of the cgroup), platform, python, packages.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu_model": _cpu_model(),
        "cores": os.cpu_count(),
        "cores_usable": usable,
        "cpu_quota": _cpu_quota(),
        "load_average": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "memory_bytes": psutil.virtual_memory().total,
        "memory_limit_bytes": _number(_read(_CGROUP / "memory.max")),
        "platform": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: _version(name) for name in packages},
    }


def cpu_reading() -> CpuReading | None:
    """Read the machine's and this process tree's CPU seconds; None where there is no /proc/stat."""
    text = _read(_STAT)
    if text is None:
        return None
    # Source: proc_stat(5). guest and guest_nice, from the ninth on, are counted in user and nice already.
    ticks = [int(field) for field in text.splitlines()[0].split()[1:9]]
    per_second = os.sysconf("SC_CLK_TCK")
    idle = ticks[3] + (ticks[4] if len(ticks) > 4 else 0)
    return CpuReading(sum(ticks) / per_second, (sum(ticks) - idle) / per_second, _own_cpu_s())


def other_cpu_share(before: CpuReading | None, after: CpuReading | None) -> float | None:
    """Return the share of the machine's CPU time that other processes used between two readings.

    Returns
    -------
    float or None
        0 to 1, where 1 is every core; None without readings or when no time passed between them.
    """
    if before is None or after is None or after.total_s <= before.total_s:
        return None
    others = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    # The two sources tick apart by some milliseconds, so a quiet machine can come out just below zero.
    return min(1.0, max(0.0, others / (after.total_s - before.total_s)))


def write_manifest(experiment_dir: Path, manifest: Mapping[str, Any]) -> Path:
    """Write `manifest.json` in one step.

    Raises
    ------
    StoreError
        The place cannot be written or a value is not JSON.
    """
    path = experiment_dir / MANIFEST
    write_text(path, json_text(manifest))
    return path


def read_manifest(experiment_dir: Path) -> dict[str, Any]:
    """Read `manifest.json`; empty when the experiment has none.

    Raises
    ------
    StoreError
        It is there but cannot be read.
    """
    path = experiment_dir / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} unreadable: {error}") from error
    if not isinstance(content, dict):
        raise StoreError(f"{path} unreadable: not a JSON object")
    return content


def _own_cpu_s() -> float:
    process = psutil.Process()
    spent = 0.0
    for member in (process, *process.children(recursive=True)):
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            # It ended between the listing and the look; its seconds are with its parent now.
            continue
        spent += times.user + times.system + times.children_user + times.children_system
    return spent


def _cpu_model() -> str | None:
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.lower().startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or None


def _cpu_quota() -> float | None:
    """Return the cgroup's CPU limit in cores, from version 2 or else version 1 of the interface."""
    limit, _, period = (_read(_CGROUP / "cpu.max") or "").partition(" ")
    quota_us, period_us = _number(limit), _number(period)
    if quota_us is None:
        quota_us = _number(_read(_CGROUP / "cpu/cpu.cfs_quota_us"))
        period_us = _number(_read(_CGROUP / "cpu/cpu.cfs_period_us"))
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None


def _number(text: str | None) -> int | None:
    stripped = (text or "").strip()
    return int(stripped) if stripped.lstrip("-").isdigit() else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
