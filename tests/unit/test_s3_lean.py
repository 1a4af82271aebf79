"""The lean S3 client sends what boto3 would send, or leaves it to boto3."""

from __future__ import annotations

import datetime as dt
import re
import urllib.parse
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.credentials import Credentials as TheirCredentials

from akosha_snap.stores import S3Options
from akosha_snap.stores.http_connections import Answer
from akosha_snap.stores.s3_client import make_boto3_client
from akosha_snap.stores.s3_lean import LeanClient
from akosha_snap.stores.s3_settings import plain_settings
from akosha_snap.stores.sigv4 import Credentials, encoded_path, encoded_query, signed

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr/secret+"}
NOW = dt.datetime(2026, 11, 23, 7, 15, 1, tzinfo=dt.UTC)


class TestSignature:
    @pytest.mark.parametrize("token", [None, "a+token/="])
    @pytest.mark.parametrize(
        ("method", "path", "query", "headers", "body"),
        [
            ("GET", "/bucket/packs/ab/abcd", {}, {"Range": "bytes=3-6"}, b""),
            ("HEAD", "/bucket/with space/~tilde/a+b=c&d/%41/#hash?/ünïcode/ключ/a..b/*!'()", {}, {}, b""),
            ("PUT", "/systems/mac/", {}, {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==", "If-None-Match": "*"}, b""),
            ("PUT", "/b/k", {}, {}, bytes(range(256)) * 999),
            ("PUT", "/b/k", {}, {}, memoryview(bytearray(b"12345"))),
            ("GET", "/bucket", {"prefix": "a/b c+ü~&=*", "list-type": "2", "start-after": "a/"}, {}, b""),
            ("GET", "/", {"continuation-token": "1/a+b==", "prefix": ""}, {}, b""),
        ],
    )  # fmt: skip
    def test_it_is_botocores(self, monkeypatch, token, method, path, query, headers, body):
        path, query = encoded_path(path), encoded_query(query)
        ours = signed(
            method, "host:8333", path, query, headers, body, Credentials("AK", "SK", token), "eu-west-1",
            now=NOW.timestamp(),
        )  # fmt: skip
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None))
        request = AWSRequest(method, f"http://host:8333{path}?{query}", headers=headers, data=bytes(body))
        request.context["payload_signing_enabled"] = True
        S3SigV4Auth(TheirCredentials("AK", "SK", token), "s3", "eu-west-1").add_auth(request)
        assert {name.lower(): value for name, value in ours.items()} == {
            name.lower(): value for name, value in request.headers.items()
        }

    def test_every_byte_of_the_body_counts(self):
        def signature(body: bytes) -> str:
            sent = signed("PUT", "h", "/k", "", {}, body, Credentials("AK", "SK"), "r", now=0)
            return sent["Authorization"]

        assert signature(b"12345") != signature(b"12346")

    def test_secrets_are_not_shown(self):
        assert repr(Credentials("AKID", "hunter2", "token")) == "Credentials(***)"


OPERATIONS = {
    "get_object": {"Key": "base/packs/ünï code+~/a", "Range": "bytes=1-2"},
    "head_object": {"Key": "base/manifest.json"},
    "put_object": {"Key": "base/mac/", "Body": b"", "ContentMD5": "1B2M2Y8AsgTpgAmY7PhCfg==", "IfNoneMatch": "*"},
    "delete_object": {"Key": "base/a"},
    "list_objects_v2": {"Prefix": "base/a b/", "MaxKeys": 3, "StartAfter": "base/a b/c"},
}  # fmt: skip


def lean(bucket: str, options: S3Options) -> LeanClient:
    settings = plain_settings(bucket, options)
    assert settings is not None
    return LeanClient(settings, options, lambda: make_boto3_client(options))


def sent_by_boto3(options: S3Options, operation: str, given: dict[str, Any]) -> AWSPreparedRequest:
    """The one request that boto3 would send, which nobody receives."""
    requests = []

    def answer(request, **_):
        requests.append(request)
        return AWSResponse(request.url, 200, {}, NoBytes())

    client = make_boto3_client(options)
    client.meta.events.register("before-send.s3", answer)
    getattr(client, operation)(**given)
    (request,) = requests
    return request


class TestTheSameAsBoto3:
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize(
        ("bucket", "options", "environment"),
        [
            ("bucket", S3Options("http://127.0.0.1:8333"), {}),
            ("bucket", S3Options("http://127.0.0.1:8333/"), {"AWS_DEFAULT_REGION": "eu-central-1"}),
            ("My.Bucket_1", S3Options("https://minio.example.com:9000", "eu-west-1"), {}),
            ("bucket", S3Options("https://account.r2.example.com", "auto"), {"AWS_SESSION_TOKEN": "token"}),
            ("bucket", S3Options("https://s3.us-west-004.example.com", "us-west-004", "path"), {}),
            ("bucket", S3Options(addressing="path"), {"AWS_ENDPOINT_URL": "http://localhost:9000"}),
            ("bucket", S3Options(addressing="path"), {"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b"}),
            ("bucket", S3Options("http://given"), {"AWS_ENDPOINT_URL_S3": "http://b"}),
            ("bucket", S3Options(), {}),
            ("bucket", S3Options(region="auto"), {"AWS_DEFAULT_REGION": "eu-west-3"}),
            ("bucket", S3Options(region="ap-southeast-2"), {"AWS_DEFAULT_REGION": "eu-west-3"}),
            ("my-bucket-2", S3Options(region="us-east-1", addressing="auto"), {}),
            ("bucket", S3Options(), {"AWS_REGION": "eu-west-3"}),
        ],
    )  # fmt: skip
    def test_each_request(self, monkeypatch, operation, bucket, options, environment):
        for name, value in {**KEYS, **environment}.items():
            monkeypatch.setenv(name, value)
        given = {"Bucket": bucket, **OPERATIONS[operation]}
        ours = []

        def answer_us(method, target, headers, body=None, **_):
            ours.append((method, client._settings.origin + target, headers, body))
            return Answer(200, {"content-length": "0"}, b"<ListBucketResult/>")

        client = lean(bucket, options)
        monkeypatch.setattr(client._connections, "request", answer_us)
        getattr(client, operation)(**given)

        request = sent_by_boto3(options, operation, given)
        ((method, url, headers, body),) = ours
        assert (method, parted(url)) == (request.method, parted(request.url))
        assert bytes(body or b"") == bytes(request.body or b"")
        scope = re.compile(r"Credential=(\w+)/\d+/(.*?),")
        their_headers = {name.lower(): value for name, value in request.headers.items()}
        authorization = their_headers["authorization"]
        authorization = authorization.decode() if isinstance(authorization, bytes) else authorization
        assert scope.search(headers["Authorization"])[2] == scope.search(authorization)[2]
        assert scope.search(headers["Authorization"])[1] == "AKIDEXAMPLE"
        for name in ["range", "content-md5", "if-none-match", "x-amz-security-token"]:
            sent = {ours.lower(): value for ours, value in headers.items()}.get(name)
            expected = their_headers.get(name)
            assert sent == (expected.decode() if isinstance(expected, bytes) else expected)

    def test_every_region_of_aws(self, monkeypatch):
        import boto3.session

        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        session = boto3.session.Session()
        regions = session.get_available_regions("s3")
        taken = [region for region in regions if plain_settings("bucket", S3Options(region=region))]
        assert len(taken) > 25
        for region in taken[::5]:  # making a client takes its time
            given = {"Bucket": "bucket", "Key": "k"}
            theirs = urllib.parse.urlsplit(sent_by_boto3(S3Options(region=region), "get_object", given).url)
            settings = plain_settings("bucket", S3Options(region=region))
            assert settings.origin == f"{theirs.scheme}://{theirs.netloc}"


class NoBytes:
    """The body of an answer without one."""

    def stream(self, **_):
        return iter([b"<ListBucketResult/>"])

    def read(self, *_):
        return b""


def parted(url: str) -> tuple[str, str, str, list[tuple[str, str]]]:
    parts = urllib.parse.urlsplit(url)
    query = sorted(urllib.parse.parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    return parts.scheme, parts.netloc, parts.path, query


class TestWhatIsLeftToBoto3:
    LOCAL = S3Options("http://127.0.0.1:8333")

    def test_nothing_else_is_set(self):
        settings = plain_settings("bucket", self.LOCAL, KEYS)
        assert settings == ("http://127.0.0.1:8333", "/bucket", "us-east-1", ("AKIDEXAMPLE", "wJalr/secret+", None))

    @pytest.mark.parametrize(
        "environment",
        [
            {},
            {"AWS_ACCESS_KEY_ID": "AKID"},
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            KEYS | {"AWS_SESSION_TOKEN": ""},
            KEYS | {"AWS_ACCESS_KEY_ID": "AKID\r\nX-Evil: 1"},
            KEYS | {"AWS_PROFILE": "work"},
            KEYS | {"AWS_CREDENTIAL_EXPIRATION": "2026-01-01T00:00:00Z"},
            KEYS | {"AWS_USE_FIPS_ENDPOINT": "true"},
            KEYS | {"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "regional"},
            KEYS | {"AWS_SOMETHING_NEW": "1"},
            KEYS | {"AWS_DEFAULT_REGION": ""},
            KEYS | {"AWS_DEFAULT_REGION": "us east"},
            KEYS | {"AWS_DEFAULT_REGION": "aws-global"},
            KEYS | {"HTTPS_PROXY": "http://proxy:3128"},
            KEYS | {"http_proxy": "http://proxy:3128"},
            KEYS | {"BOTO_CONFIG": "/etc/boto.cfg"},
        ],
    )
    def test_an_environment_that_is_not_plain(self, environment):
        assert plain_settings("bucket", self.LOCAL, environment) is None

    @pytest.mark.parametrize(
        ("bucket", "options"),
        [
            ("bucket", S3Options("http://127.0.0.1:8333", addressing="virtual")),
            ("bucket", S3Options("http://127.0.0.1:8333", addressing="auto")),
            ("bucket", S3Options("http://127.0.0.1:80")),
            ("bucket", S3Options("https://host:443")),
            ("bucket", S3Options("http://[::1]:8333")),
            ("bucket", S3Options("http://Host:8333")),
            ("bucket", S3Options("http://host/base")),
            ("bucket", S3Options("https://s3.eu-west-1.amazonaws.com")),
            ("bucket", S3Options(addressing="path")),
            ("bucket", S3Options(addressing="virtual")),
            ("bucket", S3Options(region="us-gov-west-1")),
            ("bucket", S3Options(region="cn-north-1")),
            ("bucket", S3Options(region="aws-global")),
            ("my.bucket", S3Options()),
            ("My_Bucket", S3Options()),
            ("bucket-s3alias", S3Options()),
            ("bucket--usw2-az1--x-s3", S3Options()),
            ("bucket--usw2-az1--x-s3", S3Options("http://127.0.0.1:8333")),
        ],
    )
    def test_a_place_that_is_not_plain(self, bucket, options):
        assert plain_settings(bucket, options, KEYS) is None

    @pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSLKEYLOGFILE"])
    def test_certificates_matter_with_tls_only(self, name):
        assert plain_settings("bucket", S3Options("https://host"), KEYS | {name: "/file"}) is None
        assert plain_settings("bucket", self.LOCAL, KEYS | {name: "/file"}) is not None


class TestFiles:
    """~/.aws, which is empty in every test before it."""

    @pytest.fixture
    def folder(self, clean_environment):
        folder = clean_environment / ".aws"
        folder.mkdir()
        return folder

    def settings(self, environment=None):
        return plain_settings("bucket", S3Options("http://127.0.0.1:8333"), environment or {})

    def test_credentials_and_region_of_the_default_profile(self, folder):
        (folder / "credentials").write_text(
            "[default]\naws_access_key_id = AK\naws_secret_access_key = SK\n[work]\nrole_arn = arn:aws:iam::1:role/x\n"
        )
        (folder / "config").write_text("[default]\nregion = eu-west-1\noutput = json\n[profile work]\nregion = x\n")
        assert self.settings()[2:] == ("eu-west-1", ("AK", "SK", None))
        both = self.settings({**KEYS, "AWS_DEFAULT_REGION": "eu-west-2"})
        assert both[2:] == ("eu-west-2", ("AKIDEXAMPLE", "wJalr/secret+", None))

    def test_half_of_the_credentials_is_not_made_whole(self, folder):
        (folder / "credentials").write_text("[default]\naws_access_key_id = AK\naws_secret_access_key = SK\n")
        assert self.settings({"AWS_ACCESS_KEY_ID": "other"}) is None
        assert self.settings({"AWS_SECRET_ACCESS_KEY": "other", "AWS_SESSION_TOKEN": "T"}).credentials[2] is None

    def test_files_elsewhere(self, tmp_path):
        (tmp_path / "keys").write_text(
            "[default]\naws_access_key_id=AK\naws_secret_access_key=SK\naws_session_token=T\n"
        )
        found = self.settings({"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys")})
        assert found.credentials == ("AK", "SK", "T")

    @pytest.mark.parametrize(
        "text",
        [
            "[default]\ns3 =\n  addressing_style = virtual\n",
            "[default]\nendpoint_url = http://elsewhere\n",
            "[default]\nsso_session = work\n",
            "[default]\nrole_arn = arn:aws:iam::1:role/x\n",
            "[default]\ncredential_process = /bin/keys\n",
            "[default]\nca_bundle = /file\n",
            "[default]\naws_session_token = T\n",
            "[profile default]\nregion = eu-west-1\n",
            "[default]\nregion = eu\n-west-1\n",
            "region = eu-west-1\n",
            "[default]\nregion = a\nregion = b\n",
            "[default\n",
            b"\xff\xfe",
        ],
    )
    def test_whatever_is_not_understood(self, folder, text):
        (folder / "config").write_bytes(text if isinstance(text, bytes) else text.encode())
        assert self.settings(KEYS) is None

    def test_services_of_ones_own(self, folder):
        (folder / "models").mkdir()
        assert self.settings(KEYS) is None
