"""What a step gets: the entity, those above and below it, the arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

Document = Dict[str, Any]
#: Sends a request and returns the answer.
Ask = Callable[[Document], Document]


class Refused(Exception):
    """What was asked for cannot be had, such as an entity that does not exist any more."""


@dataclass(frozen=True)
class Login:
    """The user to log in to the device as. Its passwords are not printed."""

    username: str
    password: str = field(repr=False)
    enable_password: Optional[str] = field(default=None, repr=False)


@dataclass(frozen=True)
class Device:
    """A device to connect to."""

    hostname: str
    address: str
    port: Optional[int] = None
    platform: Optional[str] = None
    groups: List[str] = field(default_factory=list)

    @staticmethod
    def of(document: Optional[Document]) -> Optional[Device]:
        return None if document is None else Device(**document)


@dataclass(frozen=True)
class Entity:
    """An entity of the fleet, or an item. `level` is GLOBAL, GROUP, GROUP_CLIENT, NORNIR_DEVICE, DEVICE, INTERFACE, INTERFACE_CLIENT or ITEM."""

    level: str
    id: int
    name: str
    device: Optional[Device] = None
    item: Any = None

    @staticmethod
    def of(document: Document) -> Entity:
        return Entity(**{**document, "device": Device.of(document.get("device"))})


@dataclass(frozen=True)
class Above:
    """An entity above the one of the step, and what its pre-run step returned."""

    entity: Entity
    pre_run: Any


@dataclass(frozen=True)
class Result:
    """What the steps on one entity came to. `state` is PENDING until its last step ended."""

    level: str
    entity: int
    name: str
    parent: Optional[int]
    state: str
    reason: Optional[str]
    message: Optional[str]
    changed: bool
    pre_run: Any
    data: Any


@dataclass(frozen=True)
class Run:
    """A step on an entity."""

    #: The name of the step.
    step: str
    #: What it runs on.
    entity: Entity
    #: The entities above it, outermost first.
    above: List[Above]
    #: What the pre-run step of the same entity returned.
    pre_run: Any
    #: The results of all entities below it, parents before children.
    below: List[Result]
    #: Whether nothing may be changed outside.
    dry_run: bool
    #: The arguments of the task.
    task_kwargs: Mapping[str, Any]
    #: The arguments of the run.
    task_input_kwargs: Mapping[str, Any]
    #: The device that is connected to: the device itself, or its controller.
    device: Optional[Device]
    #: The login at this device, if the configuration gives it to this provider.
    login: Optional[Login]
    #: The number of the element, of its execution, and of the attempt.
    element: int
    execution: int
    attempt: int
    ask: Ask = field(repr=False)

    def at(self, level: str) -> Optional[Above]:
        """The innermost entity above at this level."""
        found = [above for above in self.above if above.entity.level == level]
        return found[-1] if found else None

    def _id(self, *levels: str) -> Optional[int]:
        if self.entity.level in levels:
            return self.entity.id
        above = [found for found in (self.at(level) for level in levels) if found]
        return above[0].entity.id if above else None

    @property
    def nornir_device_id(self) -> Optional[int]:
        """The id of the device that is connected to."""
        return self._id("NORNIR_DEVICE")

    @property
    def device_id(self) -> Optional[int]:
        """The id of the device."""
        return self._id("DEVICE")

    @property
    def interface_id(self) -> Optional[int]:
        """The id of the interface."""
        return self._id("INTERFACE")

    @property
    def client_id(self) -> Optional[int]:
        """The id of the client."""
        return self._id("INTERFACE_CLIENT", "GROUP_CLIENT")

    @property
    def device_group_id(self) -> Optional[int]:
        """The id of the group."""
        return self._id("GROUP")

    @property
    def location_id(self) -> Optional[int]:
        """The id of the group, which is a location for its clients."""
        return self._id("GROUP")

    def results(self, level: str, of: Optional[int] = None) -> Iterator[Result]:
        """The results of earlier stages at this level, for steps of groups and of the fleet. They are read in pages."""
        after: Optional[int] = None
        while True:
            answer = self.ask({"type": "read_results", "level": level, "of": of, "after": after})
            page = [Result(**result) for result in answer["results"]]
            if not page:
                return
            yield from page
            after = page[-1].entity

    def known(self, entity_type: str, id: int) -> Dict[str, Any]:
        """What is known about an entity: its attributes, with `facts` and `checks` by key."""
        entity = self.ask({"type": "read_entity", "entity_type": entity_type, "id": id})["entity"]
        return entity if isinstance(entity, dict) else {}
