"""Where snapshots are kept: one small protocol, its stores, and decorators around them.

Importing this package imports neither boto3 nor anything else that is slow.
"""

from __future__ import annotations

from akosha_snap.stores.base import Buffer, DeletingStore, MultipartStore, ObjectInfo, Page, Store, SweepingStore
from akosha_snap.stores.checksums import md5_of
from akosha_snap.stores.counting import CountingStore
from akosha_snap.stores.deadline import DeadlineStore
from akosha_snap.stores.directory import DirectoryStore
from akosha_snap.stores.dry_run import DryRunStore
from akosha_snap.stores.guarded import GuardedStore
from akosha_snap.stores.keys import check_key
from akosha_snap.stores.layer import Layer, deleting, multipart, sweeping
from akosha_snap.stores.memory import MemoryStore
from akosha_snap.stores.retry import RetryingStore
from akosha_snap.stores.s3 import S3Store
from akosha_snap.stores.s3_client import S3Options
from akosha_snap.stores.transfer import list_all, put_file
from akosha_snap.stores.urls import open_store

__all__ = [
    "Buffer",
    "CountingStore",
    "DeadlineStore",
    "DeletingStore",
    "DirectoryStore",
    "DryRunStore",
    "GuardedStore",
    "Layer",
    "MemoryStore",
    "MultipartStore",
    "ObjectInfo",
    "Page",
    "RetryingStore",
    "S3Options",
    "S3Store",
    "Store",
    "SweepingStore",
    "check_key",
    "deleting",
    "list_all",
    "md5_of",
    "multipart",
    "open_store",
    "put_file",
    "sweeping",
]
