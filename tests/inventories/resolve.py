"""Prints what Nornir resolves for each host of the inventories in the folders below this one, as JSON by folder and host."""

import json
import pathlib
import sys

from nornir.plugins.inventory.simple import SimpleInventory

# Connections that no inventory names get the attributes of the host.
CONNECTIONS = ["unnamed"]


def lookups(host):
    """What ``host[key]`` is, for each key that has a value."""
    found = {}
    for key in host.keys():
        try:
            found[str(key)] = host[key]
        except KeyError:
            pass
    return found


def parameters(host, connection):
    options = host.get_connection_parameters(connection)
    fields = ("hostname", "port", "username", "platform", "extras")
    return {field: getattr(options, field) for field in fields}


def resolved(folder):
    files = {option: str(folder / f"{name}.yaml") for option, name in [
        ("host_file", "hosts"), ("group_file", "groups"), ("defaults_file", "defaults"),
    ]}
    inventory = SimpleInventory(**files).load()
    elements = [*inventory.hosts.values(), *inventory.groups.values(), inventory.defaults]
    names = {name for element in elements for name in element.connection_options}
    return {
        str(name): {
            "hostname": host.hostname,
            "port": host.port,
            "username": host.username,
            "platform": host.platform,
            "groups": [str(group.name) for group in host.extended_groups()],
            "data": lookups(host),
            "connections": {name: parameters(host, name) for name in [*sorted(names), *CONNECTIONS]},
        }
        for name, host in inventory.hosts.items()
    }


folders = sorted(path.parent for path in pathlib.Path(sys.argv[1]).glob("*/hosts.yaml"))
json.dump({folder.name: resolved(folder) for folder in folders}, sys.stdout)
