"""What a test sees of, or does to, every change of an object in a folder of this machine."""

from collections.abc import Callable

from metaclip_spark.stores.local_store import LocalStore

BeforeChange = Callable[[str, str, bytes], None]
"""Called with "put", "create" or "delete", the object's name and its content; it may raise in place of the change."""


def before_each_change(monkeypatch, call: BeforeChange) -> None:
    """Calls something before each object is put, created or deleted by the driver."""
    for method in ("put", "create", "delete"):
        monkeypatch.setattr(LocalStore, method, _watched(method, getattr(LocalStore, method), call))


def _watched(method: str, original: Callable, call: BeforeChange) -> Callable:
    def change(store: LocalStore, name: str, *content: bytes):
        call(method, name, *(content or (b"",)))
        return original(store, name, *content)

    return change
