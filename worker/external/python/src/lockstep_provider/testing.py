"""Runs a provider without Lockstep, for tests."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Type

from ._protocol import Channel, answer
from ._provider import PROTOCOL, Provider, steps
from ._run import Document, Refused

__all__ = ["run_once"]

_GLOBAL = ("pre_run_global", "run_global")
_GROUP = ("pre_run_on_device_group", "run_on_device_group")


class _Offline(Channel):
    """Answers requests from what a test gives."""

    def __init__(self, results: Sequence[Document], known: Mapping[str, Document]) -> None:
        self._results = results
        self._known = known

    def send(self, document: Document) -> None:
        """Documents go nowhere."""

    def ask(self, request: Document) -> Document:
        """Answers from what the test gives."""
        if request["type"] == "read_entity":
            entity = self._known.get(f"{request['entity_type']}/{request['id']}")
            if entity is None:
                raise Refused("there is no such entity in this test")
            return {"entity": entity}
        after = request["after"] or 0
        found = [result for result in self._results if result["level"] == request["level"] and result["entity"] > after]
        return {"results": found}


def run_once(
    provider: Type[Provider],
    device: str = "leaf1",
    address: Optional[str] = None,
    port: Optional[int] = None,
    platform: Optional[str] = None,
    groups: Sequence[str] = (),
    username: Optional[str] = None,
    password: Optional[str] = None,
    arguments: Optional[Mapping[str, Any]] = None,
    run_arguments: Optional[Mapping[str, Any]] = None,
    dry_run: bool = True,
    interfaces: Sequence[str] = (),
    results: Sequence[Document] = (),
    known: Optional[Mapping[str, Document]] = None,
) -> Dict[str, Document]:
    """Runs the steps of a provider on one device with these interfaces, in their order, in this process. Returns the answer of each step by
    its name; that of an interface by name of step and interface, such as `run_on_interface Ethernet1`. A step that failed ends the run.

    `results` are those of earlier stages, and `known` what is known about entities, by kind and id, such as `DEVICE/1`."""
    of_device: Document = {
        "hostname": device,
        "address": address or device,
        "port": port,
        "platform": platform,
        "groups": list(groups),
    }
    login = {"username": username, "password": password or "", "enable_password": None} if username else None
    begin: Document = {
        "type": "begin",
        "protocol": PROTOCOL,
        "provider": provider.name,
        "element": 1,
        "execution": 1,
        "attempt": 1,
        "dry_run": dry_run,
        "arguments": dict(arguments or {}),
        "run_arguments": dict(run_arguments or {}),
        "device": of_device,
        "login": login,
    }
    channel = _Offline(results, known or {})
    instance = provider()
    answers: Dict[str, Document] = {}
    pre_runs: Dict[str, Any] = {}
    ended: List[Document] = []
    try:
        for number, step in enumerate(steps(provider), start=1):
            names = interfaces if step.endswith("on_interface") else (device,)
            for index, name in enumerate(names, start=1):
                place = step.replace("pre_run", "run") + name
                document = {
                    "type": "step",
                    "id": number,
                    "step": step,
                    "entity": _entity(step, name, index, of_device),
                    "above": _above(step, device, of_device, pre_runs),
                    "pre_run": pre_runs.get(place),
                    "below": [] if step.startswith("pre_run") else list(ended),
                }
                result = answer(instance, begin, document, channel)
                answers[f"{step} {name}" if step.endswith("on_interface") else step] = result
                if result["type"] == "failed":
                    return answers
                if step.startswith("pre_run"):
                    pre_runs[place] = result["data"]
                else:
                    ended.append(_result(document, result))
    finally:
        instance.close()
    return answers


def _result(document: Document, answer: Document) -> Document:
    entity = document["entity"]
    return {
        "level": entity["level"],
        "entity": entity["id"],
        "name": entity["name"],
        "parent": None,
        "state": "SUCCESSFUL",
        "reason": None,
        "message": answer["message"],
        "changed": answer["changed"],
        "pre_run": document["pre_run"],
        "data": answer["data"],
    }


def _entity(step: str, name: str, index: int, device: Document) -> Document:
    if step in _GLOBAL:
        return {"level": "GLOBAL", "id": 0, "name": "fleet", "device": None, "item": None}
    if step in _GROUP:
        return {"level": "GROUP", "id": index, "name": name, "device": None, "item": None}
    level = {
        "on_nornir_device": "NORNIR_DEVICE",
        "on_device": "DEVICE",
        "on_interface": "INTERFACE",
        "on_client_of_interface": "INTERFACE_CLIENT",
        "on_client_of_location": "GROUP_CLIENT",
        "on_item": "ITEM",
    }[step.replace("pre_", "").replace("run_", "", 1)]
    return {"level": level, "id": index, "name": name, "device": device, "item": None}


def _above(step: str, name: str, device: Document, pre_runs: Mapping[str, Any]) -> List[Document]:
    if step in _GLOBAL:
        return []
    fleet = {"level": "GLOBAL", "id": 0, "name": "fleet", "device": None, "item": None}
    above: List[Document] = [{"entity": fleet, "pre_run": pre_runs.get(f"run_global{name}")}]
    levels = [("run_on_nornir_device", "NORNIR_DEVICE"), ("run_on_device", "DEVICE")]
    own = step.replace("pre_run", "run")
    if own not in ("run_on_device", "run_on_nornir_device", "run_on_interface", "run_on_client_of_interface"):
        return above
    for of_step, level in levels:
        if own == of_step:
            break
        entity = {"level": level, "id": 1, "name": name, "device": device, "item": None}
        above.append({"entity": entity, "pre_run": pre_runs.get(f"{of_step}{name}")})
    return above
