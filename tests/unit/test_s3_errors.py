"""What an S3 store makes of refusals, silence and garbage; over real sockets where it can."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from akosha_snap.errors import (
    CapabilityError,
    CredentialsError,
    ObjectExists,
    ObjectNotFound,
    StoreError,
    StoreNotFound,
    TransientStoreError,
)
from akosha_snap.stores import CountingStore, RetryingStore, S3Options, S3Store, open_store
from akosha_snap.stores.s3_errors import is_beyond_end, translate

KEY_ID = "AKIAKEYIDOFATEST"


def answer(status: int, code: str = "", message: str = "", **headers: str) -> boto.ClientError:
    return boto.ClientError(
        {
            "Error": {"Code": code, "Message": message, "AWSAccessKeyId": KEY_ID},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
        },
        "PutObject",
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answer(404, "NoSuchBucket"), StoreNotFound),
        (answer(404, "NoSuchKey"), ObjectNotFound),
        (answer(404, "NoSuchUpload"), ObjectNotFound),
        (answer(404, "404"), ObjectNotFound),
        (answer(403, "InvalidAccessKeyId", KEY_ID), CredentialsError),
        (answer(403, "SignatureDoesNotMatch"), CredentialsError),
        (answer(403, "AccessDenied"), CredentialsError),
        (answer(403, "403"), CredentialsError),
        (answer(401, ""), CredentialsError),
        (answer(400, "ExpiredToken"), CredentialsError),
        (answer(403, "RequestTimeTooSkewed"), StoreError),
        (answer(301, "PermanentRedirect"), StoreError),
        (answer(400, "AuthorizationHeaderMalformed", "expecting eu-west-1"), StoreError),
        (answer(412, "PreconditionFailed"), ObjectExists),
        (answer(409, "ConditionalRequestConflict"), TransientStoreError),
        (answer(429, "TooManyRequests"), TransientStoreError),
        (answer(400, "BadDigest"), TransientStoreError),
        (answer(400, "RequestTimeout"), TransientStoreError),
        (answer(400, "IncompleteBody"), TransientStoreError),
        (answer(500, "InternalError"), TransientStoreError),
        (answer(200, "InternalError"), TransientStoreError),  # CompleteMultipartUpload may say so
        (answer(502, ""), TransientStoreError),
        (answer(503, "SlowDown"), TransientStoreError),
        (answer(501, "NotImplemented"), CapabilityError),
        (answer(400, "InvalidBucketName"), StoreError),
        (answer(400, "InvalidArgument"), StoreError),
        (boto.NoCredentialsError(), CredentialsError),
        (boto.PartialCredentialsError(provider="env", cred_var=KEY_ID), CredentialsError),
        (boto.CredentialRetrievalError(provider="process", error_msg=KEY_ID), CredentialsError),
        (boto.UnauthorizedSSOTokenError(), CredentialsError),
        (boto.EndpointConnectionError(endpoint_url="http://host:1"), TransientStoreError),
        (boto.ConnectTimeoutError(endpoint_url="http://host:1"), TransientStoreError),
        (boto.ReadTimeoutError(endpoint_url="http://host:1"), TransientStoreError),
        (boto.ConnectionClosedError(endpoint_url="http://host:1"), TransientStoreError),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), TransientStoreError),
        (boto.ResponseStreamingError(error="reset"), TransientStoreError),
        (ResponseParserError("<html>"), TransientStoreError),
        (boto.SSLError(endpoint_url="https://host", error="self-signed"), StoreError),
        (boto.ParamValidationError(report="odd"), StoreError),
    ],
)
def test_every_error_has_its_kind_and_a_next_step(error, kind):
    ours = translate(error, "write packs/ab in s3://bucket/base")
    assert type(ours) is kind
    assert "cannot write packs/ab in s3://bucket/base: " in ours.message
    assert ours.hint
    assert KEY_ID not in str(ours)
    assert str(ours).isprintable()


@pytest.mark.parametrize("status", [400, 405, 501])
def test_a_server_without_conditional_create(status):
    code = {400: "InvalidArgument", 405: "MethodNotAllowed", 501: "NotImplemented"}[status]
    ours = translate(answer(status, code, "If-None-Match"), "write a", conditional=True)
    assert type(ours) is CapabilityError
    assert "conditional create" in ours.message
    assert ours.exit_code == 13


def test_the_clock_and_the_region_are_named():
    assert "this machine's clock" in translate(answer(403, "RequestTimeTooSkewed"), "write a").hint
    assert "?region=" in translate(answer(301, "PermanentRedirect"), "write a").hint


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("soon", None), ("", None), ("²", None), ("٣", None), ("-1", None), ("1.5", None)],
)
def test_the_server_may_ask_for_time(header, seconds):
    ours = translate(answer(503, "SlowDown", **{"retry-after": header}), "write a")
    assert ours.retry_after == seconds


def test_the_servers_words_become_one_short_line_without_secrets():
    ours = translate(answer(400, "Odd", "a\r\n\x1b[31mb " + "x" * 5000), "write a")
    assert ours.message.isprintable()
    assert len(ours.message) < 400
    refused = boto.EndpointConnectionError(endpoint_url="http://user:hunter2@host")
    assert "hunter2" not in str(translate(refused, "write a"))


class Scripted(http.server.BaseHTTPRequestHandler):
    """Answers each request with the next of the server's `script`: (status, headers, body)."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        status, headers, body = self.server.script.pop(0)
        self.send_response(status)
        always = {"Content-Length": str(len(body)), "Connection": "close"}
        for name, value in {**always, **headers}.items():
            if value:  # an empty one takes back what is always sent
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):  # the client may have had enough
                self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *arguments) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as server:
        server.script, server.seen = [], []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def credentials(monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")


@pytest.fixture(params=["lean", "boto3"])
def at(request) -> Callable[..., S3Store]:
    """Makes a store at a port, over each of the two clients."""

    def make(port: int, **options) -> S3Store:
        options = S3Options(f"http://127.0.0.1:{port}", **options, lean=request.param == "lean")
        return S3Store("bucket", "base", options)

    return make


@pytest.fixture
def store(server, credentials, at) -> S3Store:
    return at(server.server_port, connect_timeout=1, read_timeout=1)


def test_each_method_is_one_request_whatever_happens(server, store):
    able = store
    for act in [
        lambda: store.get("a"),
        lambda: store.head("a"),
        lambda: store.put("a", b"x"),
        lambda: store.list_page(""),
        lambda: store.delete("a"),
        lambda: able.start_multipart("a"),
        lambda: able.put_part("a", "u", 1, b"x"),
        lambda: able.finish_multipart("a", "u", ["t"]),
        lambda: able.abort_multipart("a", "u"),
    ]:
        server.script[:] = [(500, {}, b"")]
        server.seen.clear()
        with pytest.raises(TransientStoreError):
            act()
        assert len(server.seen) == 1


def test_retries_are_ours_and_counted(server, store):
    server.script[:] = [(503, {"Retry-After": "0"}, b""), (500, {}, b""), (200, {}, b"")]
    counting = CountingStore(store)
    RetryingStore(counting, sleep=lambda _: None).put("a", b"12345")
    assert counting.requests == len(server.seen) == 3
    assert counting.bytes_sent == 15


def test_what_a_put_sends(server, store):
    server.script[:] = [(200, {}, b""), (200, {}, b"")]
    store.put("packs/ab", b"12345", if_absent=True)
    store.put("packs/ab", b"12345")
    (method, path, headers), (_, _, plain) = server.seen
    assert (method, path) == ("PUT", "/bucket/base/packs/ab")
    assert headers["Content-MD5"] == "gnzLDuqKcGxMNKFokfhOew=="
    assert headers["If-None-Match"] == "*"
    assert "if-none-match" in headers["Authorization"]
    assert "If-None-Match" not in plain
    assert not any(name.lower().startswith("x-amz-checksum") for name in headers)
    assert "hunter2" not in repr(store) + store.url


def test_a_lost_answer_looks_like_somebody_elses_object(server, store):
    """The first put was stored, its answer lost; the caller has to check what is there."""
    server.script[:] = [(500, {}, b""), (412, {}, b"")]
    with pytest.raises(ObjectExists):
        RetryingStore(store, sleep=lambda _: None).put("a", b"x", if_absent=True)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "InvalidBucketName", StoreError),
        (400, "ExpiredToken", CredentialsError),
        (400, "RequestTimeout", TransientStoreError),
        (403, "SignatureDoesNotMatch", CredentialsError),
        (403, "RequestTimeTooSkewed", StoreError),
        (403, "", CredentialsError),
        (404, "NoSuchBucket", StoreNotFound),
        (404, "NoSuchKey", ObjectNotFound),
        (404, "", ObjectNotFound),
        (409, "ConditionalRequestConflict", TransientStoreError),
        (412, "PreconditionFailed", ObjectExists),
        (429, "", TransientStoreError),
        (501, "NotImplemented", CapabilityError),
        (502, "", TransientStoreError),
        (503, "SlowDown", TransientStoreError),
    ],
)
def test_what_a_server_refuses_is_told(server, store, status, code, kind):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said so</Message></Error>"
    server.script[:] = [(status, {"Retry-After": "7"}, body.encode() if code else b"")]
    with pytest.raises(StoreError, match="cannot write a in s3://bucket/base") as caught:
        store.put("a", b"x", if_absent=True)
    assert type(caught.value) is kind
    assert getattr(caught.value, "retry_after", 7.0) == 7.0
    assert KEY_ID not in f"{caught.value} {caught.value.__cause__}"
    assert len(server.seen) == 1


def test_an_error_called_a_success(server, store):
    server.script[:] = [(200, {}, b"<Error><Code>InternalError</Code><Message>oh</Message></Error>")]
    server.script *= 2
    for act in [lambda: store.list_page(""), lambda: store.put("a", b"x")]:
        with pytest.raises(TransientStoreError, match="500 InternalError oh"):
            act()


def test_a_page_of_a_network_that_wants_a_login_is_no_success(server, store):
    server.script[:] = [(200, {}, b"<html>welcome<br>")]
    with pytest.raises(TransientStoreError):
        store.put("a", b"x")


def test_a_bucket_in_another_region(server, store):
    """boto3 finds out which one it is; what the lean client was told first is boto3's to hear too."""
    elsewhere = (301, {"x-amz-bucket-region": "eu-west-1"}, b"<Error><Code>PermanentRedirect</Code></Error>")
    first = [elsewhere] if store._options.lean else []
    server.script[:] = [*first, elsewhere, (200, {}, b"")]
    store.put("a", b"12345")
    assert server.script == []
    assert "/eu-west-1/s3/" in server.seen[-1][2]["Authorization"]
    server.script[:] = [(200, {}, b"")]
    store.put("b", b"12345")
    assert "/eu-west-1/s3/" in server.seen[-1][2]["Authorization"]


def test_a_truncated_body(server, store):
    server.script[:] = [(200, {"Content-Length": "100"}, b"only this")]
    with pytest.raises(TransientStoreError, match="cannot read a in s3://bucket/base"):
        store.get("a")


def test_what_is_there_or_is_not_has_a_next_step():
    assert "run it again" in translate(answer(412, "PreconditionFailed"), "write a", conditional=True).hint
    assert "check the store's URL" in translate(answer(404, "NoSuchKey"), "read a").hint
    assert "dropped the upload" in translate(answer(404, "NoSuchUpload"), "write a").hint


def test_a_server_that_ignores_ranges(server, store):
    server.script[:] = [(200, {}, b"0123456789")] * 3 + [(206, {}, b"0123456789")]
    for start, length in [(3, 4), (3, 20), (0, 4), (3, 4)]:
        with pytest.raises(CapabilityError, match="asked for a part of it") as caught:
            store.get("a", start=start, length=length)
        assert "Range" in caught.value.hint
    server.script[:] = [(200, {}, b"0123456789")]
    assert store.get("a", length=10) == b"0123456789"  # all that there is


def test_a_part_cut_short(server, store):
    server.script[:] = [(206, {"Content-Length": "10"}, b"12345")]
    with pytest.raises(TransientStoreError):
        store.get("a", length=10)


class TestNoMoreIsReadThanWasAsked:
    """By the lean client; boto3 is there for the unusual."""

    @pytest.fixture
    def store(self, server, credentials) -> S3Store:
        return S3Store("bucket", "base", S3Options(f"http://127.0.0.1:{server.server_port}", read_timeout=1))

    def test_of_an_object(self, server, store):
        server.script[:] = [(206, {"Content-Length": str(10**15)}, bytes(1_000_000))]
        with pytest.raises(CapabilityError):  # all of it would be a body cut short
            store.get("a", length=100_000)

    @pytest.mark.parametrize("status", [200, 404])
    def test_of_any_other_answer(self, server, store, status):
        server.script[:] = [(status, {"Content-Length": str(10**15)}, bytes(17 << 20))]
        with pytest.raises(StoreError, match="cannot list") as caught:
            store.list_page("")
        assert "Incomplete" not in str(caught.value)


def test_an_answer_that_is_not_s3(server, store):
    server.script[:] = [(200, {}, b"<html>welcome"), (200, {}, b"<html></html>")]
    for why in ["500", "not one of an S3 server"]:
        with pytest.raises(TransientStoreError, match=why):
            store.list_page("")


def test_answers_that_lack_what_they_should_say(server, store):
    truncated = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    no_token = b"<IsTruncated>true</IsTruncated><NextContinuationToken></NextContinuationToken>"
    no_size = b"<IsTruncated>false</IsTruncated><Contents><Key>base/a</Key></Contents>"
    no_key = b"<IsTruncated>false</IsTruncated><Contents><Size>3</Size></Contents>"
    listings = [truncated, *(b"<ListBucketResult>%s</ListBucketResult>" % body for body in (no_token, no_size, no_key))]
    for act, body in [
        *((lambda: store.list_page(""), listing) for listing in listings),
        (lambda: store.start_multipart("a"), b"<InitiateMultipartUploadResult></InitiateMultipartUploadResult>"),
        (lambda: store.put_part("a", "u", 1, b"x"), b""),
    ]:
        server.script[:] = [(200, {}, body)]
        with pytest.raises(TransientStoreError, match="not one of an S3 server") as caught:
            act()
        assert caught.value.hint


def test_a_head_without_a_length(server, store):
    server.script[:] = [(200, {"Content-Length": "", "Transfer-Encoding": "chunked"}, b"")]
    with pytest.raises(TransientStoreError, match="not one of an S3 server"):
        store.head("a")


def test_keys_no_store_can_hold_are_not_listed(server, store):
    keys = ["base/good", "base/marker/", "base/a//b", "base/../x", "base/", "base/.tmp-1"]
    contents = "".join(f"<Contents><Key>{key}</Key><Size>3</Size></Contents>" for key in keys)
    body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
    server.script[:] = [(200, {}, body.encode())]
    assert [info.key for info in store.list_page("").objects] == ["good"]


def test_a_server_that_never_answers(credentials, at):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = at(silent.getsockname()[1], connect_timeout=0.3, read_timeout=0.3)
        with pytest.raises(TransientStoreError, match=r"(?i)timed? ?out") as caught:
            store.head("a")
    assert "127.0.0.1" in caught.value.message


def test_a_server_that_stops_in_the_middle_of_a_body(credentials, at):
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            done.wait(10)

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        store = at(listener.getsockname()[1], read_timeout=0.3)
        with pytest.raises(TransientStoreError, match=r"(?i)timed? ?out"):
            store.get("a")
        done.set()
        thread.join()


def test_a_connection_that_is_reset(credentials, at):
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with pytest.raises(TransientStoreError, match="cannot read a"):
            at(listener.getsockname()[1]).get("a")
        thread.join()


def test_nobody_listens(credentials, at):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransientStoreError, match=f"127.0.0.1:{port}") as caught:
        at(port).get("packs/ab")
    assert "packs/ab" in caught.value.message
    assert "endpoint" in caught.value.hint


def test_no_credentials(server, at):
    with pytest.raises(CredentialsError, match="no credentials found") as caught:
        at(server.server_port).get("a")
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
    assert server.seen == []


def test_half_of_the_credentials(server, monkeypatch, at):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    with pytest.raises(CredentialsError):
        at(server.server_port).get("a")


@pytest.mark.seaweed
class TestSeaweed:
    """Refusals of a real server."""

    @pytest.fixture(autouse=True, params=["lean", "boto3"])
    def client(self, request, monkeypatch) -> None:
        if request.param == "boto3":
            monkeypatch.setenv("AWS_RETRY_MODE", "standard")  # a setting that is boto3's alone

    @pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    def test_wrong_credentials(self, seaweed_url, monkeypatch, name):
        monkeypatch.setenv(name, "wrongwrong")
        store = open_store(seaweed_url)
        for act in [
            lambda: store.get("a"),
            lambda: store.head("a"),
            lambda: store.put("a", b"x", if_absent=True),
            lambda: store.list_page(""),
        ]:
            with pytest.raises(CredentialsError) as caught:
                act()
            assert caught.value.exit_code == 12
            shown = f"{caught.value} {caught.value.__cause__}"
            assert "wrongwrong" not in shown
            assert "testkey" not in shown

    def test_no_such_bucket(self, seaweed_credentials):
        store = open_store(f"s3://no-such-bucket/base?endpoint={seaweed_credentials.endpoint}")
        for act in [lambda: store.get("a"), lambda: store.list_page(""), lambda: store.put("a", b"x")]:
            with pytest.raises(StoreNotFound, match="no-such-bucket") as caught:
                act()
            assert caught.value.exit_code == 10

    def test_bytes_damaged_on_the_way_are_refused(self, seaweed_url, monkeypatch):
        store = open_store(seaweed_url)
        monkeypatch.setattr(
            "akosha_snap.stores.s3._body", lambda data: {"Body": b"damaged", "ContentMD5": "gnzLDuqKcGxMNKFokfhOew=="}
        )
        with pytest.raises(TransientStoreError, match="BadDigest"):
            store.put("a", b"12345")
        with pytest.raises(ObjectNotFound):
            store.get("a")

    def test_a_bucket_without_a_prefix(self, seaweed_credentials, seaweed_bucket):
        store = open_store(f"s3://{seaweed_bucket}?endpoint={seaweed_credentials.endpoint}")
        store.put("systems/mac/manifest.json", b"{}")
        assert [info[:2] for info in store.list_page("systems/").objects] == [("systems/mac/manifest.json", 2)]

    @pytest.mark.parametrize("region", ["auto", "eu-central-1"])
    def test_a_region_of_its_own(self, seaweed_url, region):
        store = open_store(seaweed_url, region=region)
        store.put("a", b"x")
        assert store.get("a") == b"x"

    def test_more_than_a_thousand_objects(self, seaweed_url):
        from concurrent.futures import ThreadPoolExecutor

        from akosha_snap.stores import list_all

        store = CountingStore(open_store(seaweed_url))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: store.put(f"many/{n:04}", b""), range(1050)))
        assert sorted(info.key for info in list_all(store, "")) == [f"many/{n:04}" for n in range(1050)]
        assert store.requests_by_method["list_page"] == 2


def test_a_read_timeout_is_not_the_end_of_an_object():
    error = boto.ReadTimeoutError(endpoint_url="http://127.0.0.1:9")
    assert error.response is None
    assert not is_beyond_end(error)
    assert isinstance(translate(error, "read k in s3://b"), TransientStoreError)


class TestCredentialsThatNoHeaderCarries:
    """http.client quotes in full what it refuses to send."""

    NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    UNFIT = ("hunter2\r", "hunter2\n", "hunt\x1ber2", "hunter2é", "hunter2\u2028", " hunter2")

    @staticmethod
    def refused() -> CredentialsError:
        store = RetryingStore(
            S3Store("bucket", options=S3Options("http://127.0.0.1:9")), sleep=lambda _: pytest.fail("a retry")
        )
        with pytest.raises(CredentialsError) as caught:
            store.put("k", b"x")
        assert "unter2" not in "".join(traceback.format_exception(caught.value))
        return caught.value

    @pytest.mark.parametrize("value", UNFIT)
    @pytest.mark.parametrize("name", NAMES)
    def test_in_the_environment(self, name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for each in self.NAMES:
            monkeypatch.setenv(each, "fine")
        monkeypatch.setenv(name, value)
        assert self.refused().message.startswith(f"{name} cannot be right")

    def test_in_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for each in self.NAMES:
            monkeypatch.delenv(each, raising=False)
        file = tmp_path / "credentials"
        file.write_text("[default]\naws_access_key_id=a\naws_secret_access_key=b\naws_session_token=hunter2\x01\n")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        assert "aws_session_token (from shared-credentials-file)" in self.refused().message

    @pytest.mark.parametrize("value", ["hunter2\r", "hunter2\n", "hunt\rer2"])
    def test_that_are_fetched_later(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for each in self.NAMES:
            monkeypatch.setenv(each, "fine")
        monkeypatch.setenv("AWS_SESSION_TOKEN", value)
        monkeypatch.setattr("akosha_snap.stores.s3_client._check_credentials", lambda _: None)
        assert "no header can carry these credentials" in self.refused().message

    def test_of_any_text(self) -> None:
        error = boto.HTTPClientError(error=ValueError("Invalid header value b'hunter2\\r'"))
        assert "hunter2" not in str(translate(error, "read k"))
        assert isinstance(translate(error, "read k"), CredentialsError)
