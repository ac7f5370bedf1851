"""Executes notebooks with papermill, each in a fresh kernel or many in one that is kept and cleared between.

A kept kernel has its imports done. Notebooks in several kernels at once run from a process each, never from
threads, for papermill changes the working directory.
"""

import atexit
import functools
import os
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import papermill
from joblib.externals.loky import ProcessPoolExecutor
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillException, PapermillExecutionError

from swarmlab.errors import SwarmlabError

KERNEL_START_S = 120
_KERNEL = "python3"
# The kernel's own warnings (a loopback connection is not encrypted) are not about the run, and a run's cells
# are no part of the user's history: on a full disk IPython would set that file aside as corrupt.
_KERNEL_ARGUMENTS = ["--IPKernelApp.log_level=ERROR", "--HistoryManager.enabled=False"]
# What takes longest of a kept kernel's first notebook: done while it starts, before anything waits for it.
_PRELOAD = "--IPKernelApp.exec_lines=import swarmlab.lab as _"
# Names, history and counts as in a new kernel. What was imported stays, and is frozen, for it is no garbage.
_RESET = "get_ipython().reset(new_session=True)\nimport gc\ngc.freeze()\ndel gc"
# A worker whose parent was killed ends after this long without work.
_IDLE_S = 60


@dataclass(frozen=True)
class NotebookRun:
    """A notebook to be executed, where its executed copy goes, and how long one of its cells may take."""

    notebook: Path
    output: Path
    parameters: Mapping[str, Any]
    timeout_s: float


class KeptKernel:
    """A kernel for many notebooks, one after the other; started by the first, and anew when it has died."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of connection files, in which none is left behind when that is removed."""
        self._folder = folder
        self._manager: Any = None
        self._client: Any = None

    def start(self) -> None:
        """Start the kernel unless it is there, and do not wait until it is ready."""
        if self._manager is not None and not run_sync(self._manager.is_alive)():
            self.close()
        if self._manager is None:
            connection = self._folder / f"kernel-{uuid.uuid4().hex}.json"
            self._manager = AsyncKernelManager(kernel_name=_KERNEL, connection_file=str(connection))
            run_sync(self._manager.start_kernel)(extra_arguments=[*_KERNEL_ARGUMENTS, _PRELOAD])

    def execute(self, notebook: PapermillNotebookClient) -> None:
        """Execute a notebook that finds no names of another's."""
        self.start()
        notebook.km, notebook.kc, notebook.owns_km = self._manager, self._client, False
        try:
            if notebook.kc is not None:
                notebook.wait_for_reply(notebook.kc.execute(_RESET, silent=True, store_history=False))
            notebook.execute()
        finally:
            self._client = notebook.kc

    def close(self) -> None:
        """End the kernel at once."""
        manager, client = self._manager, self._client
        self._manager = self._client = None
        if client is not None:
            client.stop_channels()
        if manager is not None and manager.has_kernel:
            run_sync(manager.shutdown_kernel)(now=True)


class KeptKernelEngine(NBClientEngine):  # type: ignore[misc]  # papermill ships no types
    """Papermill's engine, but for the kernel, which is given as `kept`."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        kept: KeptKernel,
        start_timeout: float,
        execution_timeout: float,
        **_: Any,
    ) -> None:
        """Execute a notebook in the kept kernel."""
        kept.execute(
            PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                startup_timeout=start_timeout,
                timeout=execution_timeout,
                coalesce_streams=True,
            )
        )


_ENGINE = "swarmlab-kept-kernel"
papermill_engines.register(_ENGINE, KeptKernelEngine)


def execute(run: NotebookRun, kept: KeptKernel | None = None) -> str | None:
    """Execute a notebook in a kernel of its own or in a kept one; returns what went wrong, or None.

    The executed notebook is written under a temporary name and put in place whole, also when it failed; a
    kept kernel in which one failed is ended.
    """
    temporary = run.output.with_name(f".{run.output.stem}-{os.getpid()}.ipynb")
    problem = None
    try:
        papermill.execute_notebook(
            run.notebook,
            temporary,
            parameters=dict(run.parameters),
            kernel_name=_KERNEL,
            progress_bar=False,
            start_timeout=KERNEL_START_S,
            execution_timeout=run.timeout_s,
            extra_arguments=_KERNEL_ARGUMENTS,
            # Into how many messages a kernel cuts what is printed is a matter of its timing.
            coalesce_streams=True,
            **({} if kept is None else {"engine_name": _ENGINE, "kept": kept}),
        )
    except PapermillExecutionError as error:
        problem = f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        problem = f"timed out after {run.timeout_s:g} s"
    except DeadKernelError:
        problem = "the kernel died (killed, or out of memory)"
    except (PapermillException, RuntimeError, OSError) as error:
        problem = f"the notebook could not be run: {error}"
    finally:
        if temporary.exists():
            os.replace(temporary, run.output)
    if problem is not None and kept is not None:
        kept.close()
    return problem


def execute_chains(
    chains: Sequence[Iterable[NotebookRun]], n_jobs: int, meanwhile: Callable[[], object]
) -> Generator[tuple[NotebookRun, str | None], None, None]:
    """Execute notebooks in kept kernels; those of a chain one after the other, chains side by side.

    Parameters
    ----------
    chains
        Notebooks in the order of each chain; one is taken from it only when it is to be started.
    n_jobs
        Kernels at once, at most; with 1 no further process is started to drive it.
    meanwhile
        Called once, while the first kernels start.

    Yields
    ------
    tuple
        Each notebook as soon as it has ended, and what went wrong, or None. An exception in the consumer, or
        closing the iterator, ends all kernels and processes.

    Raises
    ------
    SwarmlabError
        A process that drives a kernel was killed. A kernel that is killed is only what went wrong.
    """
    with TemporaryDirectory(prefix="swarmlab-kernels-", ignore_cleanup_errors=True) as folder:
        n_jobs = min(n_jobs, len(chains))
        if n_jobs > 1:
            yield from _side_by_side(chains, n_jobs, folder, meanwhile)
            return
        with closing(KeptKernel(Path(folder))) as kernel:
            kernel.start()
            meanwhile()
            for chain in chains:
                for run in chain:
                    yield run, execute(run, kernel)


def _side_by_side(
    chains: Sequence[Iterable[NotebookRun]], n_jobs: int, folder: str, meanwhile: Callable[[], object]
) -> Generator[tuple[NotebookRun, str | None], None, None]:
    pool = ProcessPoolExecutor(max_workers=n_jobs, timeout=_IDLE_S)
    waiting = deque(iter(chain) for chain in chains)
    running: dict[Any, tuple[NotebookRun, Iterator[NotebookRun]]] = {}
    has_begun = False
    try:
        while waiting or running:
            while waiting and len(running) < n_jobs:
                run = next(waiting[0], None)
                chain = waiting.popleft()
                if run is not None:
                    running[pool.submit(_execute_in_worker, run, folder)] = run, chain
            if not has_begun:
                has_begun = True
                meanwhile()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                run, chain = running.pop(future)
                waiting.appendleft(chain)
                yield run, future.result()
    except BrokenExecutor as error:
        raise SwarmlabError(
            "a process that drives a kernel died (killed, or out of memory); finished runs are kept, and the "
            "same command goes on from them"
        ) from error
    finally:
        # With their children, the kernels: nothing that they hold needs an orderly end.
        pool.shutdown(wait=True, kill_workers=True)


def _execute_in_worker(run: NotebookRun, folder: str) -> str | None:
    return execute(run, _kernel_of_this_process(folder))


@functools.cache
def _kernel_of_this_process(folder: str) -> KeptKernel:
    # A worker lives for this alone, and its kernel as long as it does.
    kernel = KeptKernel(Path(folder))
    atexit.register(kernel.close)
    return kernel
