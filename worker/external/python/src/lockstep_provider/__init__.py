"""External providers of Lockstep as Python classes."""

from ._main import main
from ._provider import (
    STEPS,
    ClientProvider,
    DeviceProvider,
    Done,
    Failed,
    GlobalProvider,
    GroupProvider,
    InterfaceProvider,
    Provider,
    ProviderTypeEnum,
    RunOnEnum,
    describe,
)
from ._run import Above, Device, Entity, Login, Refused, Result, Run

__all__ = [
    "STEPS",
    "Above",
    "ClientProvider",
    "Device",
    "DeviceProvider",
    "Done",
    "Entity",
    "Failed",
    "GlobalProvider",
    "GroupProvider",
    "InterfaceProvider",
    "Login",
    "Provider",
    "ProviderTypeEnum",
    "Refused",
    "Result",
    "Run",
    "RunOnEnum",
    "describe",
    "main",
]
