"""Arista's own Python client against simulated devices: what it reads, and what it says about faults."""

import json
import os
import ssl
import sys

import pyeapi
from pyeapi.eapilib import CommandError, ConnectionError

HOSTS = os.environ["EAPI_HOSTS"].split(",")
PORT = int(os.environ["EAPI_PORT"])


def node(host, password=os.environ["EAPI_PASSWORD"]):
    context = ssl.create_default_context(cafile=os.environ["EAPI_CA"])
    return pyeapi.connect(transport="https", host=host, port=PORT, username=os.environ["EAPI_USERNAME"],
                          password=password, context=context, timeout=20, return_node=True)


def error_of(call):
    try:
        return {"returned": call()}
    except (CommandError, ConnectionError) as error:
        return {"type": type(error).__name__, "code": getattr(error, "error_code", None), "message": str(error)}


def sessions(host):
    """A session that is compared and committed, and one that is aborted, by the functions of the client."""
    device = node(host)
    device.configure_session()
    device.config(["interface Ethernet1", "description by pyeapi"])
    seen = {"diff": device.diff()}
    device.commit()
    device.configure_session()
    device.config("hostname aborted")
    device.abort()
    device.refresh()
    running = device.get_config(as_string=True)
    seen["running"] = ["by pyeapi" in running, "aborted" in running]
    device._session_name = None
    device.api("vlans").create("300")
    device.config(["banner motd MULTILINE:Hello\nworld", "hostname direct"])
    seen["direct"] = ["300" in device.section("^vlan 300$"), "Hello\nworld\nEOF" in device.get_config(as_string=True)]
    return seen


def main():
    healthy = node(HOSTS[0])
    answers = healthy.enable(["show version", "show lldp neighbors"])
    return {
        "version": healthy.version,
        "model": healthy.model,
        "serial": answers[0]["result"]["serialNumber"],
        "neighbor": answers[1]["result"]["lldpNeighbors"][0]["neighborDevice"],
        "running": healthy.get_config(as_string=True),
        "section": healthy.section("^interface Ethernet2$"),
        "text": healthy.enable("show hostname", encoding="text")[0]["result"]["output"],
        "invalid": error_of(lambda: healthy.enable("show nothing")),
        "password": error_of(lambda: node(HOSTS[0], "guess").enable("show version")),
        "garbage": error_of(lambda: node(HOSTS[1]).enable("show version")),
        "sessions": sessions(HOSTS[3]),
        "lost": error_of(lambda: node(HOSTS[2]).run_commands("show version")),
    }


json.dump(main(), sys.stdout)
