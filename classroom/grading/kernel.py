"""Starts the kernel that runs a student's code, with its hands tied. Runs inside the sandbox.

`python kernel.py SETTINGS COMMAND…`; SETTINGS is JSON, see sandbox.py. Standard library only.
"""

import json
import os
import resource
import signal
import subprocess
import sys


def main() -> None:
    """Tie up this process, then become COMMAND."""
    settings, command = json.loads(sys.argv[1]), sys.argv[2:]
    if settings["mounts"]:
        mount(settings["hidden"], settings["frozen"], os.getcwd())
    for kind, most in settings["limits"].items():
        resource.setrlimit(getattr(resource, kind), (most, most))
    if os.getpid() == 1:
        become_child()
    os.execv(command[0], command)


def mount(hidden: list[str], frozen: list[str], own: str) -> None:
    """Empty the hidden folders and make the frozen ones read-only; `own` stays writable."""
    run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["mount", "--bind", own, own], **run)
    for folder in frozen:
        if folder != "/":
            subprocess.run(["mount", "--bind", folder, folder], **run)
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], **run)
    for folder in hidden:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", folder], **run)
    os.chdir(own)  # the writable one


def become_child() -> None:
    """Go on as a child of process 1, which no signal from inside can kill, unlike a kernel."""
    child = os.fork()
    if child == 0:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ended, status = os.wait()
        if ended == child:
            os._exit(0 if status == 0 else 1)  # and with process 1 all others end


if __name__ == "__main__":
    main()
