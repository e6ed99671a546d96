"""A PostgreSQL and a Slurm of the tests' own, on free ports, ended with the test."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
from remotes import HOST, choose_port, listens, make_secret, running, wait_until

# PostgreSQL


@dataclass(frozen=True)
class Database:
    """A server that can be restarted; it asks for a password."""

    url: str
    secret: str
    control: Sequence[str]  # the command `pg_ctl`, with all that it needs

    def call(self, *words: str) -> None:
        # Its output goes with the server's, which stays: a pipe would be waited for.
        subprocess.run([*self.control, *words], check=True, cwd="/", stdin=subprocess.DEVNULL)

    def restart(self) -> None:
        """Restart it as after a crash: connections are cut, and what was not committed is lost."""
        self.call("--mode=immediate", "restart")


def find_postgres() -> Path:
    """Return the folder of PostgreSQL's programs, which Debian has on no path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return (found[-1] if found else Path(str(shutil.which("initdb")))).parent


@contextmanager
def postgres() -> Iterator[Database]:
    # pytest keeps its folders to their owner; PostgreSQL refuses to be root.
    with tempfile.TemporaryDirectory() as own:
        folder, port, secret = Path(own), choose_port(), make_secret()
        become: list[str] = []
        if os.getuid() == 0:
            become = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        binaries, data = find_postgres(), folder / "data"
        password = folder / "password"
        password.write_text(secret)
        password.chmod(0o644)
        initdb = [str(binaries / "initdb"), "--pgdata", str(data), "--username=maria"]
        initdb += ["--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"]
        subprocess.run([*become, *initdb], check=True, cwd="/", capture_output=True)
        options = f"-c listen_addresses={HOST} -c port={port} -c unix_socket_directories={folder}"
        control = [*become, str(binaries / "pg_ctl"), "--pgdata", str(data), "--silent", "--wait"]
        control += [f"--log={folder / 'log'}", f"--options={options}"]
        url = f"postgresql+psycopg://maria:{secret}@{HOST}:{port}/postgres"
        database = Database(url, secret, control)
        database.call("start")
        try:
            yield database
        finally:
            database.call("--mode=immediate", "stop")


# Slurm

NODES = ("node1", "node2")
SLURM_CONF = """\
ClusterName=digits
SlurmctldHost={name}({host})
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge/sock
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/ctld.log
SlurmdLogFile={folder}/log/%n.log
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
ReturnToService=2
SlurmdTimeout=10
KillWait=3
JobRequeue=1
MessageTimeout=5
SlurmdParameters=config_overrides
PartitionName=all Nodes={nodes} Default=YES LLN=YES MaxTime=INFINITE State=UP
"""
NODE_CONF = (
    "NodeName={node} NodeHostname={name} NodeAddr={host} Port={port} CPUs=2 RealMemory=1000\n"
)


@dataclass
class Slurm:
    """A controller and two nodes of a core each, all on this machine."""

    folder: Path
    daemons: dict[str, psutil.Process] = field(default_factory=dict)  # of the nodes

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def call(self, *command: str) -> str:
        environment = os.environ | self.environment
        return subprocess.run(
            command, env=environment, cwd="/", stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def list_tasks(self) -> dict[str, tuple[str, str]]:
        """Return node and state of each task that has not ended, by its name, such as 1_0."""
        lines = self.call("squeue", "--noheader", "--array", "--format=%i %T %N").splitlines()
        words = [(*line.split(), "") for line in lines]
        return {name: (node, state) for name, state, node, *_ in words}

    def is_up(self, node: str) -> bool:
        """Tell whether a node's daemon runs; note it."""
        path = self.folder / f"slurmd-{node}.pid"
        if not path.exists() or not path.read_text().endswith("\n"):
            return False
        self.daemons[node] = psutil.Process(int(path.read_text()))
        return True

    def list_processes(self, node: str) -> list[psutil.Process]:
        """List what jobs have started on a node."""
        own, found = (node, self.environment["SLURM_CONF"]), []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                if (environment.get("SLURMD_NODENAME"), environment.get("SLURM_CONF")) == own:
                    found.append(process)
        return found

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon with all that runs there, as when the machine loses its power."""
        jobs = self.list_processes(node)
        keepers = [
            parent for job in jobs for parent in job.parents() if "slurmstepd" in parent.name()
        ]
        for process in [self.daemons[node], *keepers, *jobs]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def kill_all(self) -> None:
        for node in self.daemons:
            self.kill_node(node)


@contextmanager
def slurm() -> Iterator[Slurm]:
    """Start a Slurm as the user of the tests; it is ready in a few seconds."""
    with ExitStack() as daemons:
        own = Path(daemons.enter_context(tempfile.TemporaryDirectory()))  # a short path: a socket's
        own.chmod(0o755)
        for name in ("state", "spool", "log", "munge"):
            (own / name).mkdir()
        munge, log = own / "munge", own / "log/out"
        munge.chmod(0o700)
        (munge / "key").write_bytes(os.urandom(128))
        (munge / "key").chmod(0o600)
        facts = {"name": socket.gethostname().partition(".")[0], "host": HOST, "folder": own}
        user, controller = pwd.getpwuid(os.getuid()).pw_name, choose_port()
        text = SLURM_CONF.format(**facts, port=controller, user=user, nodes=",".join(NODES))
        for node in NODES:
            text += NODE_CONF.format(**facts, node=node, port=choose_port())
        (own / "slurm.conf").write_text(text)
        cluster = Slurm(own)
        daemons.callback(cluster.kill_all)
        names = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log"}
        names["seed-file"] = "seed"
        options = [f"--{option}={munge / name}" for option, name in names.items()]
        munged = ["munged", "--foreground", "--force", "--num-threads=2", *options]
        daemons.enter_context(running([*munged], log, (munge / "sock").exists))
        conf = ["-D", "-f", str(own / "slurm.conf")]
        environment = cluster.environment
        daemons.enter_context(
            running(["slurmctld", "-c", *conf], log, listens(controller), environment)
        )
        for node in NODES:
            command: list[str | Path] = ["slurmd", "-N", node, *conf]
            ready = partial(cluster.is_up, node)
            daemons.enter_context(running(command, log, ready, environment))
        sinfo = ("sinfo", "--noheader", "--Node", "--format=%t")
        wait_until(lambda: cluster.call(*sinfo).split() == ["idle"] * 2, "nodes: not idle")
        yield cluster
