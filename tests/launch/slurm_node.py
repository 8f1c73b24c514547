"""A SLURM cluster of one machine for tests, with its own configuration, keys and state; removed after the test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# a job that is queued again waits for cred_expire, two minutes by default, and for the scheduler, half a minute
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "scontrol", "squeue")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SchedulerParameters=bf_interval=1,sched_interval=1
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
KillWait=20
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
START = 60  # seconds


def reason_without() -> str | None:
    """Why this machine cannot run a cluster, or None."""
    missing = [program for program in PROGRAMS if found(program) is None]
    if missing:
        return f"SLURM is not installed ({', '.join(missing)} missing): see tests/install_slurm.sh"
    if os.geteuid():
        return "SLURM's daemons need root"
    return None if (os.cpu_count() or 1) >= 2 else "two tasks need two cores"


def found(program: str) -> str | None:
    """The path of a program; daemons are in /usr/sbin or /sbin."""
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Start a cluster of one idle node; SLURM's commands find it inside the block."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    configuration = folder / "slurm.conf"
    host = os.uname().nodename.split(".")[0]
    configuration.write_text(CONFIGURATION.format(host=host, folder=folder, ports=free_ports(2)))
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(configuration)
    daemons = [
        ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
        + [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")],
        ["slurmctld", "-D"],
        ["slurmd", "-D"],
    ]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for words in daemons:
            with open(folder / f"{words[0]}.out", "wb") as output:
                path = found(words[0]) or words[0]
                running.append(
                    subprocess.Popen([path, *words[1:]], stdout=output, stderr=output, start_new_session=True)
                )
            time.sleep(1)
        wait_until_idle(folder)
        yield
    finally:
        end_jobs()
        for process in running:  # their state need not be saved
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before


def free_ports(count: int) -> list[int]:
    """Ports on which no process listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports


def wait_until_idle(folder: Path) -> None:
    """Wait until the node accepts jobs; skip the test if SLURM's daemons do not start here."""
    end = time.monotonic() + START
    while "idle" not in ask("sinfo", "-h", "-o", "%t"):
        logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
        if time.monotonic() > end:
            pytest.skip(f"SLURM does not start here: {logs}")
        time.sleep(0.5)


def end_jobs() -> None:
    """Cancel the jobs of a failed test: their processes would outlive the daemons."""
    end = time.monotonic() + START
    while ask("squeue", "-h") and time.monotonic() < end:
        ask("scancel", "--me")
        time.sleep(0.5)


def ask(*words: str) -> str:
    """The output of a SLURM command; '' if it fails."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def state(job: str) -> str:
    """A job's state, such as RUNNING."""
    words = ask("scontrol", "show", "job", job, "--oneliner").split()
    return next((word.removeprefix("JobState=") for word in words if word.startswith("JobState=")), "")
