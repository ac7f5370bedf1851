"""Which code made a result: a hash of the package's own sources, and the commit where there is one."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import swarmlab


@dataclass(frozen=True)
class CodeVersion:
    """`sources` changes with any change of the code, committed or not; `commit` is None without git."""

    sources: str
    commit: str | None
    is_dirty: bool | None


def code_version() -> CodeVersion:
    """Hash the package's sources and ask git for the commit."""
    package = Path(swarmlab.__file__).parent
    # An installed copy may lie inside some other repository, whose commit would say nothing.
    is_checkout = (package.parent / ".git").exists()
    commit = _git(package, "rev-parse", "HEAD") if is_checkout else None
    dirty = None if commit is None else bool(_git(package, "status", "--porcelain", "--", str(package)))
    return CodeVersion(source_hash(package), commit, dirty)


def source_hash(package: Path) -> str:
    """Hash of a package's own sources, by their places in it."""
    digest = hashlib.sha256()
    for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".yaml", ".j2")):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
