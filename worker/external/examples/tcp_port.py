#!/usr/bin/env python3
"""Checks whether a TCP port of devices answers. It needs no package beside lockstep_provider."""

from __future__ import annotations

import socket
import time
from typing import Any, Dict

from lockstep_provider import DeviceProvider, Failed, ProviderTypeEnum, Run, main


class TcpPort(DeviceProvider):
    name = "tcp_port"
    short_description = "Checks whether a TCP port of devices answers."
    description = "Connects to a TCP port and closes it again. The check `check_key` is `ok` if the port answers, else `nok`."
    provider_type = ProviderTypeEnum.CHECK
    run_on_strict = False
    run_on_all_if_empty = True
    repeatable = True
    json_schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "TCP port",
        "type": "object",
        "required": ["check_key", "port"],
        "properties": {
            "check_key": {"title": "Key of the check", "type": "string", "minLength": 1, "maxLength": 255},
            "port": {"title": "Port", "type": "integer", "minimum": 1, "maximum": 65535},
            "timeout_seconds": {"title": "Time limit", "type": "number", "minimum": 0.1, "maximum": 60, "default": 5},
        },
        "additionalProperties": False,
    }

    def run_on_device(self, run: Run) -> Dict[str, Any]:
        if run.device is None:
            raise Failed(f"{run.entity.name} has no address", "no-device")
        start = time.monotonic()
        try:
            address = (run.device.address, run.task_kwargs["port"])
            socket.create_connection(address, run.task_kwargs.get("timeout_seconds", 5)).close()
        except OSError as error:
            return {"result": "nok", "reason": str(error)}
        return {"result": "ok", "metrics": {"ms": round((time.monotonic() - start) * 1000, 3)}}


if __name__ == "__main__":
    main(TcpPort)
