"""A platform's JSON endpoints. Its key goes to its base URL and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from uploader.errors import CredentialsRefused, ReadRefused
from uploader.masking import Keys
from uploader.platforms.answers import Answer, AnswerTooLong, host_of, success
from uploader.platforms.http.file_body import Body
from uploader.platforms.http.transport import LONGEST_ANSWER, Transport


class JsonApi:
    """A platform's JSON endpoints behind one base URL and one key.

    Attributes:
        known: What was read of the key's account, so that it need not be asked for again over an unreliable link.
    """

    def __init__(self, base_url: str, credentials: Mapping[str, str], transport: Transport) -> None:
        """Prepare.

        Args:
            base_url: Without a trailing slash.
            credentials: Headers with the key; they go to `base_url` only.
            transport: The connections.
        """
        self.known: dict[str, str] = {}
        self._base_url = base_url
        self._headers = {"Accept": "application/json", **credentials}
        self._keys = Keys(value.rpartition(" ")[2] for value in credentials.values())
        self._transport = transport

    def post(
        self,
        path: str,
        body: str,
        *,
        key: str | None = None,
        order: str | None = None,
        times: str | None = None,
        is_evaluation: bool | None = None,
    ) -> dict[str, Any]:
        """Send JSON text and return the JSON object of a successful answer.

        Args:
            path: Begins with a slash.
            body: JSON text.
            key: Sent as `Idempotency-Key`.
            order: Sent as `Uploader-Order`: the message's position in its run.
            times: Sent as `Uploader-Times`: when what it tells of began and ended.
            is_evaluation: Sent as `Uploader-Evaluation`: whether the epoch that it tells of is the final evaluation.

        Raises:
            DeliveryError: The answer is no success, or not the platform's.
        """
        # UTF-8 cannot encode half of a surrogate pair; JSON can, as an escape.
        content = body.encode("utf-8", "backslashreplace")
        return self.post_body(
            path, content, "application/json", key=key, order=order, times=times, is_evaluation=is_evaluation
        )

    def post_body(
        self,
        path: str,
        body: bytes | Body,
        content_type: str,
        *,
        key: str | None = None,
        order: str | None = None,
        times: str | None = None,
        is_evaluation: bool | None = None,
        answer_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Send a body of any type and return the JSON object of a successful answer.

        Args:
            path: Begins with a slash.
            body: What to send.
            content_type: Of the body.
            key: Sent as `Idempotency-Key`.
            order: Sent as `Uploader-Order`.
            times: Sent as `Uploader-Times`.
            is_evaluation: Sent as `Uploader-Evaluation`.
            answer_seconds: Longest wait for the answer; None for the transport's own.

        Raises:
            DeliveryError: The answer is no success, or not the platform's.
        """
        headers = {**self._headers, "Content-Type": content_type}
        if key is not None:
            headers["Idempotency-Key"] = key
        if order is not None:
            headers["Uploader-Order"] = order
        if times is not None:
            headers["Uploader-Times"] = times
        if is_evaluation is not None:
            headers["Uploader-Evaluation"] = "yes" if is_evaluation else "no"
        return self._request("POST", path, headers=headers, body=body, answer_seconds=answer_seconds)

    def patch(self, path: str, body: str) -> dict[str, Any]:
        """Send JSON text to change what is at a path, and return the JSON object of a successful answer.

        Args:
            path: Begins with a slash.
            body: JSON text.

        Raises:
            DeliveryError: The answer is no success, or not the platform's.
        """
        headers = {**self._headers, "Content-Type": "application/json"}
        return self._request("PATCH", path, headers=headers, body=body.encode("utf-8", "backslashreplace"))

    def post_text(self, path: str, body: str) -> Answer:
        """Send text and return the answer, whatever its status and form.

        Args:
            path: Begins with a slash.
            body: The text.

        Raises:
            DeliveryError: There is no answer.
        """
        headers = {**self._headers, "Accept": "text/plain", "Content-Type": "text/plain; charset=utf-8"}
        url = self._base_url + path
        answer = self._transport.request("POST", url, is_api=True, headers=headers, body=body.encode())
        return self._without_keys(answer)

    def get(self, path: str, *, longest: int = LONGEST_ANSWER) -> dict[str, Any]:
        """Return the JSON object of a successful answer.

        Args:
            path: Begins with a slash.
            longest: How many bytes of an answer are read at most.

        Raises:
            ReadRefused: The key is not accepted for reading this.
            DeliveryError: The answer is no success, or not the platform's.
        """
        try:
            return self._request("GET", path, headers=self._headers, longest=longest)
        except CredentialsRefused as error:
            raise ReadRefused(str(error)) from None

    def newest(self, path: str, most: int, longest: int) -> dict[str, Any]:
        """Return the answer of a list: its newest entries, as many as fit.

        Args:
            path: Begins with a slash; the list takes a `limit`.
            most: How many entries to ask for; when they are too long, half as many, down to one.
            longest: How many bytes of an answer are read at most.

        Raises:
            AnswerTooLong: A single entry is longer.
            ReadRefused: The key is not accepted for reading this.
            DeliveryError: The answer is no success, or not the platform's.
        """
        try:
            return self.get(f"{path}?limit={most}", longest=longest)
        except AnswerTooLong:
            if most == 1:
                raise
        return self.newest(path, most // 2, longest)

    def _request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self._transport.request(method, self._base_url + path, is_api=True, **options)
        return success(self._without_keys(answer), host_of(self._base_url))

    def _without_keys(self, answer: Answer) -> Answer:
        """Remove a key that the server repeats, because answers end up in receipts and messages."""
        if not self._keys.may_be_in(answer.body):
            return answer
        text = answer.body.decode("latin-1")  # one character per byte, whatever it is
        masked = self._keys.out_of(text) if answer.ok else self._keys.out_of_failure(text)
        return replace(answer, body=masked.encode("latin-1"))


def bearer(api_key: str) -> dict[str, str]:
    """Return the header that carries a key as a bearer token.

    Raises:
        CredentialsRefused: It holds characters that a header cannot carry, so it is not a key.
    """
    return {"Authorization": f"Bearer {checked_key(api_key)}"}


def checked_key(api_key: str) -> str:
    """Return the key if a header can carry it.

    Raises:
        CredentialsRefused: It holds characters that a header cannot carry, so it is not a key.
    """
    if not (api_key.isascii() and api_key.isprintable()):
        raise CredentialsRefused("the API key holds characters that no key has; copy it again")
    return api_key
