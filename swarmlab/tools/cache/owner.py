"""Who computes an answer: a process by host, number and start, so that another can tell that it has died."""

import os
import platform
import uuid

import psutil

_SAME_START_S = 2.0
"""Two readings of one process's start may differ by so much; a number is not given again as soon as that."""


def new_owner() -> str:
    """A name for this process that no other has, nor this one a second time."""
    pid = os.getpid()
    return f"{platform.node()}/{pid}/{psutil.Process(pid).create_time():.2f}/{uuid.uuid4().hex}"


def is_gone(owner: str) -> bool:
    """Whether the owner was a process of this host that has ended; False for one of another host.

    Two containers of one name see each other's processes as gone: an answer is then computed twice.
    """
    try:
        host, pid, start, _ = owner.rsplit("/", 3)
        if host != platform.node():
            return False
        process = psutil.Process(int(pid))
        return (
            abs(process.create_time() - float(start)) > _SAME_START_S
            # It was killed, and its parent has not asked what became of it.
            or process.status() == psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, ValueError):
        return False
