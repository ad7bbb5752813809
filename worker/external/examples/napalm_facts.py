#!/usr/bin/env python3
"""Collects facts about devices with getters of NAPALM. It needs the package napalm, and `credentials = true` in the configuration."""

from __future__ import annotations

import os
import ssl
from typing import Any, Dict, Optional

import napalm
from napalm.base.exceptions import ConnectAuthError, ConnectionException
from pyeapi.eapilib import ConnectionError as EapiConnectionError

from lockstep_provider import DeviceProvider, Done, Failed, ProviderTypeEnum, Run, main

GETTERS = ["facts", "interfaces", "interfaces_ip", "lldp_neighbors", "environment", "vlans", "arp_table", "mac_address_table"]


class NapalmFacts(DeviceProvider):
    name = "napalm_facts"
    short_description = "Collects facts about devices with NAPALM."
    description = (
        "Runs getters of NAPALM. Their results become the fact `facts_key` of the device, by getter. The platform of the device is the name of "
        "NAPALM's driver, such as `eos`. It reads, so a dry run does the same.\n\n"
        "The variable `NAPALM_CA_FILE` names the certificates of the devices' authority; without it, those of the operating system count."
    )
    provider_type = ProviderTypeEnum.FACTS
    run_on_strict = False
    run_on_all_if_empty = True
    repeatable = True
    json_schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Facts by NAPALM",
        "type": "object",
        "required": ["facts_key"],
        "properties": {
            "facts_key": {"title": "Key of the fact", "type": "string", "minLength": 1, "maxLength": 255, "default": "napalm"},
            "getters": {
                "title": "Getters",
                "type": "array",
                "items": {"type": "string", "enum": GETTERS},
                "minItems": 1,
                "uniqueItems": True,
                "default": ["facts"],
            },
            "timeout_seconds": {"title": "Time limit of a request", "type": "integer", "minimum": 1, "maximum": 600, "default": 60},
        },
        "additionalProperties": False,
    }

    def __init__(self) -> None:
        self.connection: Optional[Any] = None

    def pre_run_on_nornir_device(self, run: Run) -> None:
        device, login = run.device, run.login
        if device is None or login is None:
            raise Failed("there is no login for the device; set credentials = true", "no-credentials")
        if not device.platform:
            raise Failed(f"{device.hostname} has no platform, which is the name of NAPALM's driver", "no-platform")
        optional: Dict[str, Any] = {"context": ssl.create_default_context(cafile=os.environ.get("NAPALM_CA_FILE"))}
        if device.port is not None:
            optional["port"] = device.port
        driver = napalm.get_network_driver(device.platform)
        timeout = run.task_kwargs.get("timeout_seconds", 60)
        connection = driver(device.address, login.username, login.password, timeout=timeout, optional_args=optional)
        try:
            connection.open()
        except (ConnectionException, EapiConnectionError) as error:
            said = str(error).strip() or "it does not answer"
            # The driver of EOS lets errors of pyeapi through.
            is_refused = isinstance(error, ConnectAuthError) or "Unauthorized" in said
            raise Failed(said, "wrong-credentials" if is_refused else "unreachable") from error
        self.connection = connection

    def run_on_device(self, run: Run) -> Done:
        assert self.connection is not None, "pre_run_on_nornir_device failed"
        facts = {}
        for getter in run.task_kwargs.get("getters", ["facts"]):
            facts[getter] = getattr(self.connection, f"get_{getter}")()
        return Done(data=facts, message=f"{len(facts)} getters")

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


if __name__ == "__main__":
    main(NapalmFacts)
