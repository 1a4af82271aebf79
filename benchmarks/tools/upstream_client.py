"""What Session-Buddy does today, as a program: gzip each file whole, PUT it, PUT a manifest; or the way back."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from pathlib import Path

import boto3


def main(what: str, endpoint: str, bucket: str, label: str, *paths: str) -> None:
    """`push` the paths under a label, or `restore` a label into the one path."""
    client = boto3.client("s3", endpoint_url=endpoint)
    prefix = f"systems/bench/{label}"
    if what == "push":
        files = {}
        for path in map(Path, paths):
            data = path.read_bytes()
            client.put_object(Bucket=bucket, Key=f"{prefix}/{path.name}.gz", Body=gzip.compress(data))
            files[path.name] = hashlib.sha256(data).hexdigest()
        client.put_object(Bucket=bucket, Key=f"{prefix}/manifest.json", Body=json.dumps({"files": files}).encode())
        return
    manifest = json.load(client.get_object(Bucket=bucket, Key=f"{prefix}/manifest.json")["Body"])
    for name, digest in manifest["files"].items():
        data = gzip.decompress(client.get_object(Bucket=bucket, Key=f"{prefix}/{name}.gz")["Body"].read())
        if hashlib.sha256(data).hexdigest() != digest:
            raise SystemExit(f"{name} is damaged")
        Path(paths[0], name).write_bytes(data)


main(*sys.argv[1:])
