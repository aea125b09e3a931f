"""Errors as HTTP tells them: `application/problem+json` (RFC 9457), and the one table from code to status."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from adapter.errors import AdapterError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import ValidationError

PROBLEM_JSON = "application/problem+json"

STATUS: dict[str, HTTPStatus] = {
    "json_invalid": HTTPStatus.BAD_REQUEST,
    "request_invalid": HTTPStatus.BAD_REQUEST,
    "cursor_invalid": HTTPStatus.BAD_REQUEST,
    "endpoint_invalid": HTTPStatus.BAD_REQUEST,
    "secret_invalid": HTTPStatus.BAD_REQUEST,
    "replay_invalid": HTTPStatus.BAD_REQUEST,
    "state_unknown": HTTPStatus.BAD_REQUEST,
    "overlap_invalid": HTTPStatus.BAD_REQUEST,
    "configuration_invalid": HTTPStatus.BAD_REQUEST,
    "api_key_missing": HTTPStatus.UNAUTHORIZED,
    "api_key_malformed": HTTPStatus.UNAUTHORIZED,
    "api_key_invalid": HTTPStatus.UNAUTHORIZED,
    "api_key_expired": HTTPStatus.UNAUTHORIZED,
    "api_key_revoked": HTTPStatus.UNAUTHORIZED,
    "api_key_wrong_environment": HTTPStatus.UNAUTHORIZED,
    "signature_invalid": HTTPStatus.UNAUTHORIZED,
    "scope_missing": HTTPStatus.FORBIDDEN,
    "tenant_foreign": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "route_unknown": HTTPStatus.NOT_FOUND,
    "source_unknown": HTTPStatus.NOT_FOUND,
    "member_unknown": HTTPStatus.NOT_FOUND,
    "member_deleted": HTTPStatus.NOT_FOUND,
    "gone": HTTPStatus.GONE,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "conflict": HTTPStatus.CONFLICT,
    "events_emptied": HTTPStatus.CONFLICT,
    "program_exists": HTTPStatus.CONFLICT,
    "version_conflict": HTTPStatus.CONFLICT,
    "endpoint_disabled": HTTPStatus.CONFLICT,
    "member_ambiguous": HTTPStatus.CONFLICT,
    "member_exists": HTTPStatus.CONFLICT,
    "member_merged": HTTPStatus.CONFLICT,
    "member_active": HTTPStatus.CONFLICT,
    "member_erased": HTTPStatus.CONFLICT,
    "transaction_completed": HTTPStatus.CONFLICT,
    "transaction_cancelled": HTTPStatus.CONFLICT,
    "transaction_expired": HTTPStatus.CONFLICT,
    "transaction_rejected": HTTPStatus.CONFLICT,
    "transaction_pending": HTTPStatus.CONFLICT,
    "transaction_reversed": HTTPStatus.CONFLICT,
    "transaction_final": HTTPStatus.CONFLICT,
    "transaction_of_order": HTTPStatus.CONFLICT,
    "transaction_of_redemption": HTTPStatus.CONFLICT,
    "redemption_pending": HTTPStatus.CONFLICT,
    "redemption_applied": HTTPStatus.CONFLICT,
    "redemption_fulfillment_pending": HTTPStatus.CONFLICT,
    "redemption_fulfilled": HTTPStatus.CONFLICT,
    "redemption_released": HTTPStatus.CONFLICT,
    "redemption_expired": HTTPStatus.CONFLICT,
    "redemption_reversed": HTTPStatus.CONFLICT,
    "redemption_in_use": HTTPStatus.CONFLICT,
    "payment_completed": HTTPStatus.CONFLICT,
    "payment_failed": HTTPStatus.CONFLICT,
    "payment_cancelled": HTTPStatus.CONFLICT,
    "payment_expired": HTTPStatus.CONFLICT,
    "reward_unknown": HTTPStatus.NOT_FOUND,
    "redemption_not_flagged": HTTPStatus.CONFLICT,
    "balance_locked": HTTPStatus.CONFLICT,
    "voucher_redeemed": HTTPStatus.CONFLICT,
    "voucher_revoked": HTTPStatus.CONFLICT,
    "voucher_expired": HTTPStatus.CONFLICT,
    "voucher_held": HTTPStatus.CONFLICT,
    "hold_over": HTTPStatus.CONFLICT,
    "voucher_not_valid_yet": HTTPStatus.UNPROCESSABLE_ENTITY,
    "code_taken": HTTPStatus.CONFLICT,
    "rate_limited": HTTPStatus.TOO_MANY_REQUESTS,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "media_type_unsupported": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "refused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "insufficient_balance": HTTPStatus.UNPROCESSABLE_ENTITY,
    "over_max_credit": HTTPStatus.UNPROCESSABLE_ENTITY,
    "over_max_debit": HTTPStatus.UNPROCESSABLE_ENTITY,
    "over_max_balance": HTTPStatus.UNPROCESSABLE_ENTITY,
    "below_min_balance": HTTPStatus.UNPROCESSABLE_ENTITY,
    "program_not_published": HTTPStatus.UNPROCESSABLE_ENTITY,
    "program_unclear": HTTPStatus.UNPROCESSABLE_ENTITY,
    "redemption_blocked": HTTPStatus.UNPROCESSABLE_ENTITY,
    "below_minimum": HTTPStatus.UNPROCESSABLE_ENTITY,
    "not_an_increment": HTTPStatus.UNPROCESSABLE_ENTITY,
    "over_limit_per_transaction": HTTPStatus.UNPROCESSABLE_ENTITY,
    "over_limit_per_day": HTTPStatus.UNPROCESSABLE_ENTITY,
    "over_limit_of_tier": HTTPStatus.UNPROCESSABLE_ENTITY,
    "over_last_known": HTTPStatus.UNPROCESSABLE_ENTITY,
    "tier_unknown": HTTPStatus.UNPROCESSABLE_ENTITY,
    "program_paused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "program_ended": HTTPStatus.UNPROCESSABLE_ENTITY,
    "definition_retired": HTTPStatus.UNPROCESSABLE_ENTITY,
    "over_limit_of_balance": HTTPStatus.UNPROCESSABLE_ENTITY,
    "same_member": HTTPStatus.UNPROCESSABLE_ENTITY,
    "nothing_to_redeem": HTTPStatus.UNPROCESSABLE_ENTITY,
    "reward_not_for_balance": HTTPStatus.UNPROCESSABLE_ENTITY,
    "reward_not_for_points": HTTPStatus.UNPROCESSABLE_ENTITY,
    "already_applied": HTTPStatus.UNPROCESSABLE_ENTITY,
    "already_fulfilled": HTTPStatus.UNPROCESSABLE_ENTITY,
    "payment_in_live": HTTPStatus.UNPROCESSABLE_ENTITY,
    "discount_unusable": HTTPStatus.UNPROCESSABLE_ENTITY,
    "payment_declined": HTTPStatus.PAYMENT_REQUIRED,
    "rejected": HTTPStatus.UNPROCESSABLE_ENTITY,
    "idempotency_key_reused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "busy": HTTPStatus.SERVICE_UNAVAILABLE,
    "database_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""What each code means over HTTP. A code of an error class that is not named here has its parents' status."""

_UNFORESEEN = "Something went wrong on our side. Ask again; if it stays, report the request id."

FieldError = tuple[str, str]
"""The field at fault, and what is wrong with it."""


class Problem(AdapterError):
    """A request that cannot be served, with the code that says why."""

    code = "request_invalid"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Sequence[FieldError] = (),
        figures: Mapping[str, int | str] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.errors = tuple(errors)
        self.headers = tuple(headers)
        self.figures = figures


@dataclass(frozen=True, slots=True)
class Refusal:
    """What there is to say of a request that was not served, before it is written in anybody's form."""

    status: int
    code: str
    detail: str
    request_id: str
    errors: tuple[FieldError, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    figures: Mapping[str, int | str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response, before any framework: status, bytes, content type, further headers."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    keep: bool = True  # whether a repeat under its Idempotency-Key gets it again


def status_of(error: AdapterError) -> HTTPStatus:
    """Return the status of an error: by its own code, else by the code of the nearest class above it."""
    codes = [error.code, *(vars(kind)["code"] for kind in type(error).__mro__ if "code" in vars(kind))]
    return next((STATUS[code] for code in codes if code in STATUS), HTTPStatus.INTERNAL_SERVER_ERROR)


def problem(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    *,
    errors: Iterable[FieldError] = (),
    headers: Sequence[tuple[str, str]] = (),
    figures: Mapping[str, int | str] | None = None,
) -> Answer:
    """Render a problem document."""
    body = document(status, code, detail, request_id, errors=errors, figures=figures)
    return Answer(int(status), orjson.dumps(body), PROBLEM_JSON, tuple(headers))


def document(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    *,
    errors: Iterable[FieldError] = (),
    figures: Mapping[str, int | str] | None = None,
) -> dict[str, Any]:
    """Return a problem document, of a whole request or of one item of it. `figures` are what a refusal depends on."""
    return {
        **({} if figures is None else {"figures": dict(figures)}),
        "type": f"/docs#error-{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "errors": [{"field": field, "message": message} for field, message in errors],
        "request_id": request_id,
    }


def described(error: AdapterError, request_id: str) -> dict[str, Any]:
    """Return the problem document of an error that has a name."""
    return document(
        status_of(error),
        error.code,
        error.message,
        request_id,
        errors=_fields_at_fault(error),
        figures=_figures(error),
    )


def unforeseen(request_id: str) -> dict[str, Any]:
    """Return the problem document of what nobody foresaw."""
    return document(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", _UNFORESEEN, request_id)


def _fields_at_fault(error: AdapterError) -> Sequence[FieldError]:
    if isinstance(error, Problem):
        return error.errors
    return ((error.field, error.message),) if error.field else ()


def _figures(error: AdapterError) -> Mapping[str, int | str] | None:
    return error.figures if isinstance(error, Problem) else None


def refusal_of(error: AdapterError, request_id: str, retry_after_s: int) -> Refusal:
    """Return what there is to say of an error that has a name."""
    status = status_of(error)
    headers: list[tuple[str, str]] = []
    if isinstance(error, Problem):
        headers += error.headers
    if isinstance(error, Unavailable):
        headers.append(("Retry-After", str(retry_after_s)))
    if status is HTTPStatus.UNAUTHORIZED and error.code.startswith("api_key"):
        headers.append(("WWW-Authenticate", 'Bearer realm="loyalty-adapter"'))
    return Refusal(
        int(status),
        error.code,
        error.message,
        request_id,
        errors=tuple(_fields_at_fault(error)),
        headers=tuple(headers),
        figures=_figures(error),
    )


def answer_error(error: AdapterError, request_id: str, retry_after_s: int) -> Answer:
    """Turn an error that has a name into its problem document."""
    return told(refusal_of(error, request_id, retry_after_s))


def told(refusal: Refusal) -> Answer:
    """Tell a refusal as a problem document."""
    return problem(
        refusal.status,
        refusal.code,
        refusal.detail,
        refusal.request_id,
        errors=refusal.errors,
        headers=refusal.headers,
        figures=refusal.figures,
    )


def internal_refusal(request_id: str) -> Refusal:
    """Return what is said of an error that nobody foresaw: nothing of the inside, the log has it by the request id."""
    return Refusal(int(HTTPStatus.INTERNAL_SERVER_ERROR), "internal", _UNFORESEEN, request_id)


def invalid(error: ValidationError, where: str) -> Problem:
    """Name every field that pydantic refused. `where` is `body` or `query`."""
    errors = [(_path(one["loc"]) or where, _sentence(one)) for one in error.errors(include_url=False)]
    named = ", ".join(field for field, _ in errors)
    return Problem("request_invalid", f"The {where} cannot be used; see errors: {named}.", errors=errors)


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _sentence(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "There is no such field; check its spelling or leave it out."
    if error["type"] == "missing":
        return "This field is required."
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{message[:1].upper()}{message[1:]}."
