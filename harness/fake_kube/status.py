"""Errors as the real server words them (recorded from kube-apiserver 1.20.2)."""

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """An answer that is a `Status`."""

    def __init__(
        self,
        code: int,
        message: str,
        reason: str | None = None,
        details: Json | None = None,
        meta: Json | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.details = details
        self.meta = meta or {}

    @property
    def body(self) -> Json:
        """The `Status` object."""
        body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.meta,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason is not None:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        return body | {"code": self.code}


def success(details: Json) -> Json:
    """Return the `Status` of a deletion that is done."""
    head: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return head | {"details": details}


def _group(group: str, **more: Any) -> Json:
    return ({"group": group} if group else {}) | more


def bad_request(message: str) -> ApiError:  # noqa: D103
    return ApiError(400, message, "BadRequest")


def unauthorized() -> ApiError:  # noqa: D103
    return ApiError(401, "Unauthorized", "Unauthorized")


def no_such_resource() -> ApiError:  # noqa: D103
    return ApiError(404, "the server could not find the requested resource", "NotFound", {})


def not_found(qualified: str, group: str, plural: str, name: str) -> ApiError:  # noqa: D103
    details = {"name": name} | _group(group, kind=plural)
    return ApiError(404, f'{qualified} "{name}" not found', "NotFound", details)


def already_exists(qualified: str, group: str, plural: str, name: str) -> ApiError:  # noqa: D103
    details = {"name": name} | _group(group, kind=plural)
    return ApiError(409, f'{qualified} "{name}" already exists', "AlreadyExists", details)


def modified(qualified: str, group: str, plural: str, name: str) -> ApiError:  # noqa: D103
    return ApiError(
        409,
        f'Operation cannot be fulfilled on {qualified} "{name}": the object has been modified;'
        " please apply your changes to the latest version and try again",
        "Conflict",
        {"name": name} | _group(group, kind=plural),
    )


def invalid(kind: str, group: str, name: str, causes: list[tuple[str, str, str]]) -> ApiError:
    """Return 422; each cause is (field, reason, message)."""
    told = [f"{field}: {message}" for field, _, message in causes]
    listed = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    shown = f"{kind}.{group}" if group else kind
    return ApiError(
        422,
        f'{shown} "{name}" is invalid: {listed}',
        "Invalid",
        ({"name": name} if name else {})
        | _group(
            group,
            kind=kind,
            causes=[{"reason": r, "message": m, "field": f} for f, r, m in causes],
        ),
    )


def expired(message: str, token: str | None = None) -> ApiError:
    """Return 410; `token` is where an inconsistent list could go on."""
    return ApiError(410, message, "Expired", meta={"continue": token} if token else None)


def too_old(version: int, oldest: int) -> ApiError:  # noqa: D103
    return expired(f"too old resource version: {version} ({oldest})")


def too_large(version: int, current: int) -> ApiError:
    """Return 504: the version is yet to come."""
    return ApiError(
        504,
        f"Timeout: Too large resource version: {version}, current: {current}",
        "Timeout",
        {
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
            "retryAfterSeconds": 1,
        },
    )
