"""What an error of boto3 or of an S3 server means, and what to do about it.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and what
SeaweedFS, MinIO, R2 and B2 were seen to answer.
"""

from __future__ import annotations

from typing import Any

from akosha_snap.errors import (
    CapabilityError,
    CredentialsError,
    ObjectExists,
    ObjectNotFound,
    StoreError,
    StoreNotFound,
    TransientStoreError,
)
from akosha_snap.stores.hints import EXISTS, MISSING, UPLOAD_GONE
from akosha_snap.stores.masking import masked

__all__ = ["is_beyond_end", "is_of_s3", "translate"]

_AGAIN = "run it again in a moment"
_NETWORK = "check the network and the endpoint, then run it again"

_CREDENTIALS = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "NotSignedUp",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnauthorizedAccess",
    }
)
_TRANSIENT = frozenset(
    {
        "BadDigest",  # the bytes were damaged on the way
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "XAmzContentSHA256Mismatch",
    }
)
_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_REGION = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "IncorrectEndpoint",
        "PermanentRedirect",
        "TemporaryRedirect",
    }
)
_NOT_SIGNED_IN = frozenset({"CredentialRetrievalError", "LoginError", "SSOError", "TokenRetrievalError"})
"""Exceptions of botocore by name, as not every version has them all."""

_NO_CONDITION = frozenset({"InvalidArgument", "InvalidRequest", "MethodNotAllowed", "NotImplemented"})


def translate(error: Exception, what: str, *, conditional: bool = False) -> StoreError:
    """The StoreError to raise where `what` (`read KEY in URL`) met the boto3 or botocore `error`.

    `conditional`: the request asked for If-None-Match. The result quotes the server, except
    where credentials are concerned.
    """
    import botocore.exceptions

    if isinstance(error, botocore.exceptions.ClientError):
        return _from_answer(error.response, f"cannot {what}", conditional)
    return _from_client(error, f"cannot {what}")


def is_of_s3(error: Exception) -> bool:
    """Whether `error` is one that `translate` knows, not one of the program's own."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    return isinstance(error, BotoCoreError | ClientError | ResponseParserError | HTTPError | RecursionError)


def is_beyond_end(error: Exception) -> bool:
    """Whether the server refused a range because the object ends before it."""
    answer: dict[str, Any] = getattr(error, "response", None) or {}  # a read timeout of botocore has None
    return _status(answer) == 416 or _code(answer) == "InvalidRange"


def _from_answer(answer: dict[str, Any], failed: str, conditional: bool) -> StoreError:
    code, status = _code(answer), _status(answer)
    if code in _CLOCK:
        return StoreError(f"{failed}: the server's time is not ours", hint="check this machine's clock")
    if code in _REGION or status in {301, 307}:
        return StoreError(f"{failed}: {_said(answer)}", hint="set the bucket's region with ?region=")
    if code == "NoSuchBucket":
        return StoreNotFound(f"{failed}: there is no such bucket", hint="create it or check its name")
    if code in _TRANSIENT or status in {408, 409, 429} or (status >= 500 and status != 501):
        return TransientStoreError(f"{failed}: {_said(answer)}", hint=_AGAIN, retry_after=_retry_after(answer))
    if code in _CREDENTIALS or status in {401, 403}:
        also = ", and this machine's clock" if code == str(status) else ""  # to a HEAD no server says more
        return CredentialsError(
            f"{failed}: the server refuses these credentials ({code})",
            hint=f"check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and what they may do{also}",
        )
    if status == 412:
        return ObjectExists(f"{failed}: it already exists", hint=EXISTS)
    if status == 404:
        hint = UPLOAD_GONE if code == "NoSuchUpload" else MISSING
        return ObjectNotFound(f"{failed}: it does not exist", hint=hint)
    if status == 501 or (conditional and status in {400, 405} and code in _NO_CONDITION):
        lacking = "conditional create (If-None-Match)" if conditional else "this request"
        return CapabilityError(
            f"{failed}: the server does not know {lacking}: {_said(answer)}", hint="choose another store"
        )
    return StoreError(f"{failed}: {_said(answer)}", hint="check the store's URL and the server's log")


def _from_client(error: Exception, failed: str) -> StoreError:
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return CredentialsError(
            f"{failed}: no credentials found", hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if _NOT_SIGNED_IN & {kind.__name__ for kind in type(error).__mro__}:
        return CredentialsError(
            f"{failed}: the credentials could not be fetched ({type(error).__name__})",
            hint="sign in again (aws sso login) or check AWS_PROFILE",
        )
    if isinstance(error, boto.SSLError):
        return StoreError(f"{failed}: {_line(str(error))}", hint="check the endpoint's certificate (AWS_CA_BUNDLE)")
    if isinstance(error, boto.HTTPClientError) and _is_of_headers(error):
        return CredentialsError(
            f"{failed}: no header can carry these credentials",
            hint="set them anew: one has a control character, or one that is not ASCII",
        )
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError | boto.IncompleteReadError | HTTPError):
        return TransientStoreError(f"{failed}: {_line(str(error))}", hint=_NETWORK)
    if isinstance(error, RecursionError):  # botocore follows a redirect from within the one before
        return StoreError(f"{failed}: the server redirects without end", hint="check the endpoint and the region")
    if isinstance(error, ResponseParserError):
        return TransientStoreError(f"{failed}: the answer is not one of an S3 server", hint=_NETWORK)
    return StoreError(f"{failed}: {_line(str(error))}", hint="check the store's URL and AWS_*")


def _is_of_headers(error: Any) -> bool:
    """Whether the request had a header that cannot be sent, which http.client quotes in full: one with a credential."""
    return "Invalid header value" in str(error) or isinstance(error.kwargs.get("error"), UnicodeError)


def _code(answer: dict[str, Any]) -> str:
    return str(answer.get("Error", {}).get("Code", ""))


def _status(answer: dict[str, Any]) -> int:
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _said(answer: dict[str, Any]) -> str:
    status, code = str(_status(answer)), _code(answer)
    message = answer.get("Error", {}).get("Message") or ""
    return _line(" ".join(word for word in [status, code if code != status else "", message] if word))


def _line(text: str) -> str:
    """Foreign text as one short printable line without secrets."""
    return masked("".join(c if c.isprintable() else " " for c in text)[:300].strip())


def _retry_after(answer: dict[str, Any]) -> float | None:
    value = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    # the other form, a date, is not seen in practice; isdigit takes "²", isdecimal alone other scripts
    return float(value) if value.isascii() and value.isdecimal() else None
