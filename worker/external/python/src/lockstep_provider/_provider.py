"""The class that an author overrides."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, ClassVar, Dict, List, Mapping, Optional, Sequence, Tuple, Type, Union

from ._run import Run

PROTOCOL = 1

#: The steps of the run cycle in their order, and that of items.
STEPS = (
    "pre_run_global",
    "pre_run_on_device_group",
    "pre_run_on_client_of_location",
    "pre_run_on_nornir_device",
    "pre_run_on_device",
    "pre_run_on_interface",
    "pre_run_on_client_of_interface",
    "run_on_client_of_interface",
    "run_on_interface",
    "run_on_device",
    "run_on_nornir_device",
    "run_on_client_of_location",
    "run_on_device_group",
    "run_global",
    "run_on_item",
)


class ProviderTypeEnum(str, enum.Enum):
    """What a provider is for."""

    CHECK = "CHECK"
    CONFIGURE = "CONFIGURE"
    EXECUTE = "EXECUTE"
    FACTS = "FACTS"
    NONE = "NONE"


class RunOnEnum(str, enum.Enum):
    """The kind of entity that a provider runs on."""

    CLIENT = "CLIENT"
    DEVICE = "DEVICE"
    GLOBAL = "GLOBAL"
    GROUP = "GROUP"
    INTERFACE = "INTERFACE"


@dataclass
class Done:
    """What a step did."""

    #: The result: anything that is JSON.
    data: Any = None
    #: What was done, for people.
    message: Optional[str] = None
    #: Whether something changed, or would have in a dry run.
    changed: bool = False
    #: Facts about the entity, by key.
    facts: Dict[str, Any] = field(default_factory=dict)
    #: Items that `pre_run_global` found: names and data.
    items: List[Tuple[str, Any]] = field(default_factory=list)


class Failed(Exception):
    """The step failed: its entity, and all below it."""

    def __init__(
        self,
        message: str,
        reason: str = "failed",
        state: str = "FAILED",
        changed: bool = False,
        data: Any = None,
    ) -> None:
        """`reason` is a word for programs: lower-case letters, digits and hyphens. `state` is FAILED, PARTIAL_FAILED, PRECHECK_FAILED,
        POSTCHECK_FAILED, or FILTERED if there was a reason to leave the entity alone."""
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.state = state
        self.changed = changed
        self.data = data


#: What a step returns: `Done`, or its data.
StepReturn = Union[Done, Any]


class Provider:
    """A provider. One object lives as long as one unit: a device with all below it, a group, the fleet, or an item. Override the steps that
    it has."""

    name: ClassVar[str] = ""
    short_description: ClassVar[str] = ""
    description: ClassVar[str] = ""
    provider_type: ClassVar[ProviderTypeEnum] = ProviderTypeEnum.EXECUTE
    run_on: ClassVar[RunOnEnum] = RunOnEnum.DEVICE
    run_on_strict: ClassVar[bool] = True
    run_on_all_if_empty: ClassVar[bool] = False
    run_on_result: ClassVar[Optional[RunOnEnum]] = None
    facts_for: ClassVar[Sequence[RunOnEnum]] = ()
    success_message: ClassVar[Optional[str]] = None
    repeatable: ClassVar[bool] = False
    deprecated: ClassVar[Optional[str]] = None
    json_schema: ClassVar[Mapping[str, Any]] = {}
    run_input_json_schema: ClassVar[Mapping[str, Any]] = {}
    ui_schema: ClassVar[Optional[Mapping[str, Any]]] = None
    run_input_ui_schema: ClassVar[Optional[Mapping[str, Any]]] = None

    def pre_run_global(self, run: Run) -> StepReturn:
        """Step 1, once."""

    def pre_run_on_device_group(self, run: Run) -> StepReturn:
        """Step 2, per group."""

    def pre_run_on_client_of_location(self, run: Run) -> StepReturn:
        """Step 3, per client of a group."""

    def pre_run_on_nornir_device(self, run: Run) -> StepReturn:
        """Step 4, per device that is connected to."""

    def pre_run_on_device(self, run: Run) -> StepReturn:
        """Step 5, per device."""

    def pre_run_on_interface(self, run: Run) -> StepReturn:
        """Step 6, per interface of a device."""

    def pre_run_on_client_of_interface(self, run: Run) -> StepReturn:
        """Step 7, per client of an interface."""

    def run_on_client_of_interface(self, run: Run) -> StepReturn:
        """Step 8, as 7."""

    def run_on_interface(self, run: Run) -> StepReturn:
        """Step 9, as 6."""

    def run_on_device(self, run: Run) -> StepReturn:
        """Step 10, as 5."""

    def run_on_nornir_device(self, run: Run) -> StepReturn:
        """Step 11, as 4."""

    def run_on_client_of_location(self, run: Run) -> StepReturn:
        """Step 12, as 3."""

    def run_on_device_group(self, run: Run) -> StepReturn:
        """Step 13, as 2."""

    def run_global(self, run: Run) -> StepReturn:
        """Step 14, as 1."""

    def run_on_item(self, run: Run) -> StepReturn:
        """On an item that step 1 found."""

    def close(self) -> None:
        """After the last step of the unit."""


class DeviceProvider(Provider):
    """A provider that runs on devices."""

    run_on = RunOnEnum.DEVICE


class InterfaceProvider(Provider):
    """A provider that runs on interfaces."""

    run_on = RunOnEnum.INTERFACE


class ClientProvider(Provider):
    """A provider that runs on clients."""

    run_on = RunOnEnum.CLIENT


class GroupProvider(Provider):
    """A provider that runs on groups."""

    run_on = RunOnEnum.GROUP


class GlobalProvider(Provider):
    """A provider that runs once for the fleet."""

    run_on = RunOnEnum.GLOBAL


def steps(provider: Type[Provider]) -> List[str]:
    """The steps that a class overrides."""
    return [name for name in STEPS if getattr(provider, name) is not getattr(Provider, name)]


def describe(provider: Type[Provider]) -> Dict[str, Any]:
    """The description of a provider, as Lockstep reads it."""
    return {
        "protocol": PROTOCOL,
        "name": provider.name,
        "short_description": provider.short_description,
        "description": provider.description,
        "provider_type": provider.provider_type.value,
        "run_on": provider.run_on.value,
        "run_on_strict": provider.run_on_strict,
        "run_on_all_if_empty": provider.run_on_all_if_empty,
        "run_on_result": provider.run_on_result.value if provider.run_on_result else None,
        "facts_for": [kind.value for kind in provider.facts_for],
        "success_message": provider.success_message,
        "repeatable": provider.repeatable,
        "deprecated": provider.deprecated,
        "json_schema": provider.json_schema,
        "run_input_json_schema": provider.run_input_json_schema,
        "ui_schema": provider.ui_schema,
        "run_input_ui_schema": provider.run_input_ui_schema,
        "steps": steps(provider),
    }
