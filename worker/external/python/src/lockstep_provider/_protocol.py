"""Speaks with a worker: JSON, one document a line."""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from typing import IO, Any, Dict, Optional, Type

from ._provider import PROTOCOL, Done, Failed, Provider, steps
from ._run import Above, Device, Document, Entity, Login, Refused, Result, Run

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info"))


class ProtocolError(Exception):
    """The worker said something that this version does not understand."""


class Channel:
    """The documents in both directions."""

    def __init__(self, source: IO[str], target: IO[str]) -> None:
        self._source = source
        self._target = target
        self._lock = threading.Lock()

    def send(self, document: Document) -> None:
        """Sends a document. Raises ValueError or TypeError if it is not JSON."""
        line = json.dumps(document, allow_nan=False)
        with self._lock:
            self._target.write(line + "\n")
            self._target.flush()

    def receive(self) -> Optional[Document]:
        """The next document. None at the end."""
        line = self._source.readline()
        if not line:
            return None
        document = json.loads(line)
        if not isinstance(document, dict):
            raise ProtocolError("a document is no object")
        return document

    def ask(self, request: Document) -> Document:
        """Sends a request, and returns its answer."""
        self.send(request)
        answer = self.receive()
        if answer is None:
            raise ProtocolError("the worker closed the input instead of an answer")
        if answer["type"] == "refused":
            raise Refused(answer["message"])
        return answer


class LogHandler(logging.Handler):
    """Sends lines of `logging` to the worker."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a line."""
        level = next((name for least, name in _LEVELS if record.levelno >= least), "debug")
        try:
            self._channel.send({"type": "log", "level": level, "message": self.format(record)})
        except Exception:
            self.handleError(record)


def serve(provider: Type[Provider], channel: Channel) -> None:
    """Runs the steps of one unit."""
    begin = channel.receive()
    if begin is None:
        return
    if begin["type"] != "begin" or begin["protocol"] != PROTOCOL:
        raise ProtocolError(f"this package speaks version {PROTOCOL} of the protocol; use another version of it")
    instance = provider()
    channel.send({"type": "ready", "protocol": PROTOCOL})
    try:
        while True:
            document = channel.receive()
            if document is None:
                return
            if document["type"] != "step":
                raise ProtocolError(f"a document {document['type']!r} was not expected")
            channel.send(answer(instance, begin, document, channel))
    finally:
        instance.close()


def answer(provider: Provider, begin: Document, document: Document, channel: Channel) -> Document:
    """Runs a step. The answer is known to be JSON."""
    number = document["id"]
    name = document["step"]
    try:
        if name not in steps(type(provider)):
            raise Failed(f"the provider has no step {name}", "no-step")
        returned = getattr(provider, name)(_run(begin, document, channel))
        done = returned if isinstance(returned, Done) else Done(data=returned)
        result: Document = {
            "type": "done",
            "id": number,
            "message": done.message,
            "changed": done.changed,
            "data": done.data,
            "facts": done.facts,
            "items": [{"name": item, "data": data} for item, data in done.items],
        }
        json.dumps(result, allow_nan=False)
        return result
    except Failed as failed:
        return _failed(number, failed)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return _failed(number, Failed(f"{type(error).__name__}: {error}", "exception"))


def _failed(number: int, failed: Failed) -> Document:
    result = {
        "type": "failed",
        "id": number,
        "reason": failed.reason,
        "message": failed.message,
        "state": failed.state,
        "changed": failed.changed,
        "data": failed.data,
    }
    try:
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError) as error:
        result["data"] = None
        result["message"] = f"{failed.message} (its data is left out, because it is not JSON: {error})"
    return result


def _run(begin: Document, document: Document, channel: Channel) -> Run:
    login: Optional[Dict[str, Any]] = begin.get("login")
    return Run(
        step=document["step"],
        entity=Entity.of(document["entity"]),
        above=[Above(Entity.of(above["entity"]), above["pre_run"]) for above in document["above"]],
        pre_run=document["pre_run"],
        below=[Result(**result) for result in document["below"]],
        dry_run=begin["dry_run"],
        task_kwargs=begin["arguments"] or {},
        task_input_kwargs=begin["run_arguments"] or {},
        device=Device.of(begin["device"]),
        login=Login(**login) if login else None,
        element=begin["element"],
        execution=begin["execution"],
        attempt=begin["attempt"],
        ask=channel.ask,
    )
