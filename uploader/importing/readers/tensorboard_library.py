"""What is used of TensorBoard's library: its messages, its checksum, and how it reads what older versions wrote."""

from __future__ import annotations

from typing import Any

from uploader.importing.readers.libraries import library_module


class TensorBoardLibrary:
    """The parts of `tensorboard` that read values; TensorFlow is not needed."""

    def __init__(self) -> None:
        """Import them.

        Raises:
            ReaderMissing: TensorBoard is not installed.
        """
        self.checksum = _module("tensorboard.compat.tensorflow_stub.pywrap_tensorflow").masked_crc32c
        self._events = _module("tensorboard.compat.proto.event_pb2")
        self._older = _module("tensorboard.data_compat")
        self._tensors = _module("tensorboard.util.tensor_util")
        self._hparams = _module("tensorboard.plugins.hparams.plugin_data_pb2")

    def event(self, body: bytes) -> Any:
        """Return an event, None if the bytes are none."""
        try:
            return self._events.Event.FromString(body)
        except Exception:  # noqa: BLE001 - protobuf's error is of a library that is not named here
            return None

    def measured(self, value: Any) -> tuple[str, Any]:
        """Return what kind a value is of, and the number or text that it is; None for all others."""
        if value.WhichOneof("value") == "simple_value":
            return "scalars", value.simple_value
        try:
            newer = self._older.migrate_value(value)
            kind = newer.metadata.plugin_data.plugin_name or newer.WhichOneof("value") or "nothing"
            if kind not in ("scalars", "text"):
                return kind, None
            found = self._tensors.make_ndarray(newer.tensor)
            return kind, found.item() if kind == "scalars" else _text(found)
        except Exception:  # noqa: BLE001 - whatever the library raises for a value it cannot read
            return "an unknown kind", None

    def images(self, value: Any) -> list[bytes]:
        """Return the files of the images that a value holds; none for one of another kind."""
        if value.WhichOneof("value") == "image":
            return [value.image.encoded_image_string]
        if value.metadata.plugin_data.plugin_name != "images":
            return []
        try:  # width and height go before them
            return [bytes(each) for each in self._tensors.make_ndarray(value.tensor).ravel()[2:]]
        except Exception:  # noqa: BLE001 - as above
            return []

    def hparams(self, content: bytes) -> tuple[dict[str, Any], int] | None:
        """Return hyperparameters, and the status that a session ended with (0: nothing said); None for what is none."""
        try:
            data = self._hparams.HParamsPluginData.FromString(content)
        except Exception:  # noqa: BLE001 - as above
            return None
        config = {name: _of_value(value) for name, value in sorted(data.session_start_info.hparams.items())}
        return config, data.session_end_info.status if data.HasField("session_end_info") else 0


def _module(name: str) -> Any:
    return library_module(name, package="tensorboard", files="TensorBoard's event files")


def _text(found: Any) -> str:
    texts = (each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in found.ravel())
    return "\n".join(texts)


def _of_value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    found: Any = getattr(value, kind) if kind else None
    return list(found) if kind == "list_value" else found
