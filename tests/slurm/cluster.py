"""A real SLURM cluster on this machine: munged, slurmctld, a slurmd per virtual node, accounting in MariaDB.

Needs root and Debian's packages (:data:`PACKAGES`), neither systemd nor containers. All state lies in one folder, but for
the link /etc/slurm/slurm.conf: Snakemake's jobstep executor drops SLURM_CONF before its inner srun.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PACKAGES = ("slurm-wlm", "munge", "slurmdbd", "mariadb-server")
PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "mariadbd", "mariadb-install-db", "sbatch", "sacct")
DEFAULT_CONF = Path("/etc/slurm/slurm.conf")
PORT = 26817  # slurmctld; the other daemons take the next ones
NODES = {"cpu1": 0, "cpu2": 0, "gpu1": 2}  # node → countable devices
CPUS = 8  # claimed by each node, whatever the machine has
MEMORY_MB = 256_000
PATIENCE_S = 600  # for anything of a few jobs, on a machine that does other things too

SLURM_CONF = """\
ClusterName=decoupledqc
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# Neither cgroups nor binding: works in a container. The nodes' hardware is what this file says.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
# Which job had which device, and when: written by root on the node, whatever the job does.
Prolog={folder}/prolog
Epilog={folder}/epilog
# A node has a scratch folder of its own and no way to the web.
TaskProlog={folder}/task_prolog
# A step over its memory is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/munge.sock
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu
# A job of the partition "urgent" takes the place of a training, which is told and goes back into the queue.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# Quick reactions.
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=5,bf_interval=5
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=20
KillWait=10
MpiDefault=none
"""

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={dbd_port}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""


def missing() -> str:
    """Return why no cluster can be started here, empty if one can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    if absent:
        return f"{', '.join(absent)} not installed: apt-get install --no-install-recommends {' '.join(PACKAGES)}"
    if DEFAULT_CONF.exists() or DEFAULT_CONF.is_symlink():
        return f"{DEFAULT_CONF} exists: another cluster is configured here"
    return ""


class Cluster:
    """The cluster; a context manager that starts and stops it.

    Args:
        folder: For all its state; short, since a socket's path may have 107 characters.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._conf = folder / "slurm.conf"
        self._server: subprocess.Popen | None = None

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        for node in NODES:
            self.kill_node(node)
        for daemon in ("slurmctld", "slurmdbd"):
            self._end(daemon, signal.SIGTERM)
        if self._server:
            self._server.terminate()
            self._server.wait(60)
        self._end("munged", signal.SIGTERM)
        if DEFAULT_CONF.is_symlink() and DEFAULT_CONF.readlink() == self._conf:
            DEFAULT_CONF.unlink()

    def _start(self) -> None:
        (self.folder / "state").mkdir(parents=True)
        self.folder.chmod(0o755)
        names = {"folder": self.folder, "host": socket.gethostname().partition(".")[0], "port": PORT}
        ports = {"dbd_port": PORT + len(NODES) + 1, "sql_port": PORT + len(NODES) + 2}
        self._write_confs(**names, **ports)
        self._start_munge()
        self._start_database(ports["sql_port"])
        DEFAULT_CONF.parent.mkdir(parents=True, exist_ok=True)
        DEFAULT_CONF.symlink_to(self._conf)
        run("slurmdbd", env={**os.environ, "SLURM_CONF": str(self._conf)})
        wait_for(lambda: succeeds("sacctmgr", "-n", "list", "cluster"), 60, "slurmdbd")
        run("sacctmgr", "-i", "add", "cluster", "decoupledqc")
        run("sacctmgr", "-i", "add", "account", "test")
        run("sacctmgr", "-i", "add", "user", "root", "account=test")
        run("slurmctld", "-f", str(self._conf))
        for node in NODES:
            self.start_node(node)

    def _write_confs(self, **values: object) -> None:
        lines = [SLURM_CONF.format(**values)]
        devices = ["AutoDetect=off"]
        for number, (node, gpus) in enumerate(NODES.items(), 1):
            gres = f" Gres=gpu:{gpus}" if gpus else ""
            lines.append(
                f"NodeName={node} NodeHostname={node} NodeAddr=127.0.0.1 Port={PORT + number} "
                f"CPUs={CPUS} RealMemory={MEMORY_MB}{gres} State=UNKNOWN\n"
            )
            for index in range(gpus):  # slurmd drops a device without a file, so give it copies of /dev/null
                run("mknod", str(self.folder / f"device{index}"), "c", "1", "3")
                devices.append(f"NodeName={node} Name=gpu File={self.folder}/device{index}")
        cpu_nodes = ",".join(node for node, gpus in NODES.items() if not gpus)
        gpu_nodes = ",".join(node for node, gpus in NODES.items() if gpus)
        lines.append(f"PartitionName=cpu Nodes={cpu_nodes} Default=YES MaxTime=INFINITE State=UP\n")
        lines.append(f"PartitionName=gpu Nodes={gpu_nodes} MaxTime=INFINITE State=UP\n")
        lines.append(
            f"PartitionName=urgent Nodes={gpu_nodes} MaxTime=INFINITE PriorityTier=9 PreemptMode=OFF State=UP\n"
        )
        self._conf.write_text("".join(lines))
        (self.folder / "gres.conf").write_text("\n".join(devices) + "\n")
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        dbd = self.folder / "slurmdbd.conf"
        dbd.touch(mode=0o600)
        dbd.write_text(SLURMDBD_CONF.format(**values))

        device = '"$SLURM_JOB_ID {} ${{SLURM_JOB_GPUS:-}} $(date +%s.%N)"'
        for moment in ("prolog", "epilog"):
            hook = f"[ ! -x {self.folder}/at_{moment} ] || {self.folder}/at_{moment}"
            self._write_script(moment, f"echo {device.format(moment)} >> {self.folder}/devices.txt", hook)
        scratch = f"{self.folder}/scratch-$SLURMD_NODENAME"
        exports = (
            f"export TMPDIR={scratch}",
            "export PIP_INDEX_URL=http://127.0.0.1:9",
            "export PIP_CONFIG_FILE=/dev/null",
            *(f"export {name}_proxy=http://127.0.0.1:9" for name in ("http", "https")),
        )
        self._write_script("task_prolog", f"mkdir -p {scratch}", *(f'echo "{line}"' for line in exports))

    def _write_script(self, name: str, *lines: str) -> None:
        script = self.folder / name
        script.write_text("\n".join(("#!/bin/sh", *lines, "")))
        script.chmod(0o755)

    def show_late(self, path: Path, seconds: float) -> None:
        """Let what the next job makes be seen so long after its end only, as on a shared file system that is slow."""
        hook, hidden = "at_epilog", f"{path}.not-yet-seen"
        later = f"setsid sh -c 'sleep {seconds}; mv {hidden} {path}' > /dev/null 2>&1 &"
        self._write_script(hook, f"rm {self.folder}/{hook}", f"mv {path} {hidden}", later)

    def device_use(self) -> dict[str, list[tuple[float, float, str]]]:
        """Return device → (start, end in seconds, SLURM id) of each job that held it and has ended, in order of start."""
        began, held = {}, {}
        for line in (self.folder / "devices.txt").read_text().splitlines():
            job, moment, *devices, second = line.split()
            if devices and moment == "prolog":
                began[job] = (devices[0].split(","), float(second))
            elif job in began:
                own, start = began.pop(job)
                for device in own:
                    held.setdefault(device, []).append((start, float(second), job))
        return {device: sorted(spans) for device, spans in held.items()}

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        files = {"key-file": key, "socket": self.folder / "munge.sock", "pid-file": self.folder / "munged.pid"}
        files |= {"log-file": self.folder / "munged.log", "seed-file": self.folder / "munged.seed"}
        # --force: otherwise munged refuses a socket below a folder that anybody may write to, such as /tmp
        run("munged", "--force", *(f"--{name}={path}" for name, path in files.items()))

    def _start_database(self, port: int) -> None:
        data = self.folder / "mysql"
        run("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db")
        call = ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={self.folder}/mysql.sock"]
        call += ["--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve"]
        call += ["--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"]
        with open(self.folder / "mariadbd.log", "w") as log:
            self._server = subprocess.Popen(call, stdout=log, stderr=log, start_new_session=True)
        client = ("mariadb", "--no-defaults", f"--socket={self.folder}/mysql.sock", "-u", "root", "-e")
        wait_for(lambda: succeeds(*client, "select 1"), 60, "MariaDB")
        run(*client, "create user slurm@'127.0.0.1' identified by 'slurm'; grant all on slurm.* to slurm@'127.0.0.1'")

    def start_node(self, node: str) -> None:
        """Start a node's slurmd, nice, and wait until it takes jobs. Jobs inherit the niceness."""
        (self.folder / f"spool-{node}").mkdir(exist_ok=True)
        run("nice", "-n", "19", "slurmd", "-N", node, "-f", str(self._conf))
        states = ("idle", "mixed", "allocated")
        wait_for(lambda: run("sinfo", "-h", "-n", node, "-o", "%T").split("\n")[0] in states, 60, f"node {node}")

    def restart_slurmd(self, node: str) -> None:
        """Kill a node's slurmd and start it again before SLURM misses it; what runs on the node runs on."""
        self._end(f"slurmd-{node}", signal.SIGKILL, program="slurmd")
        self.start_node(node)

    def kill_node(self, node: str) -> None:
        """Act a power loss: SIGKILL to the node's slurmd, its steps and all that they started."""
        spool = self.folder / f"spool-{node}"
        steps = {name.name.removeprefix(f"{node}_") for name in spool.glob(f"{node}_*")}
        steps = {step.replace("4294967291", "batch").replace("4294967292", "extern") for step in steps}
        processes = _processes()
        roots = [pid for pid, (_, words) in processes.items() if _step_of(words) in steps]
        self._end(f"slurmd-{node}", signal.SIGKILL, program="slurmd")
        for pid in [each for root in roots for each in _tree(root, processes)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for left in (*spool.glob(f"{node}_*"), *spool.glob("job[0-9]*")):  # else a job requeued here is held
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _end(self, name: str, number: signal.Signals, program: str | None = None) -> None:
        """Signal one daemon by its pid file, only if that process is still the daemon, and wait for its end."""
        pid_file = self.folder / f"{name}.pid"
        if not pid_file.is_file():
            return
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/comm")

        def gone() -> bool:
            return not command.exists() or command.read_text().strip() != (program or name)

        if not gone():
            os.kill(pid, number)
            wait_for(gone, 30, f"the end of {name}")
        pid_file.unlink(missing_ok=True)


def jobs(since: str = "00:00:00") -> list[dict[str, str]]:
    """Return accounting's records of all jobs since a time of day or a date, one per submission.

    Keys: JobID, State, Start, End, Partition, Account, AllocTRES, NodeList, Comment (rule and wildcards), ReqMem.
    """
    fields = "JobID,State,Start,End,Partition,Account,AllocTRES,NodeList,Comment,ReqMem"
    lines = run("sacct", "-X", "-n", "-P", "-D", "-S", since, f"--format={fields}").splitlines()
    return [dict(zip(fields.split(","), line.split("|"), strict=True)) for line in lines]


def state_of(job: str) -> str:
    """Return a job's state in the queue; empty once it has left it."""
    return run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").strip()


def run(*call: str, env: dict | None = None) -> str:
    """Run a command; return what it printed. Raises RuntimeError with all of it if it fails."""
    done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(call)}: {done.stdout}")
    return done.stdout


def succeeds(*call: str) -> bool:
    """Return whether a command ends with 0."""
    return subprocess.run(call, capture_output=True, check=False).returncode == 0


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something is so; raise TimeoutError naming it if it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} after {seconds} s")
        time.sleep(0.2)


def _processes() -> dict[int, tuple[int, list[str]]]:
    """Return pid → (parent, words of the command line) of every process."""
    found = {}
    for line in run("ps", "-eo", "pid=,ppid=,args=").splitlines():
        pid, parent, *words = line.split()
        found[int(pid)] = (int(parent), words)
    return found


def _step_of(words: list[str]) -> str | None:
    """Return JOB.STEP of a slurmstepd, whose command line reads ``slurmstepd: [JOB.STEP]``; None for others."""
    return words[1].strip("[]") if len(words) > 1 and words[0] == "slurmstepd:" else None


def _tree(root: int, processes: dict[int, tuple[int, list[str]]]) -> list[int]:
    """Return a process and all its descendants."""
    children = [pid for pid, (parent, _) in processes.items() if parent == root]
    return [root, *(each for child in children for each in _tree(child, processes))]
