"""Renders templates as Python's Jinja2 does, in the environment of CNaaS NMS.

Reads a JSON list of cases {"files": {path: text}, "entry": path, "variables": {...}} from standard input, and prints a JSON list of
their results {"text": ...} or {"error": ...}.
"""

import base64
import hashlib
import ipaddress
import importlib
import json
import posixpath
import re
import sys

import netaddr
from jinja2 import DictLoader, Environment
from netutils.utils import jinja2_convenience_function


class Relative(Environment):
    """Templates are named relative to the template that names them."""

    def join_path(self, template, parent):
        return posixpath.normpath(posixpath.join(posixpath.dirname(parent), template))


# The filters of CNaaS NMS, from their description.


def increment_ip(text, increment=1):
    if "/" not in str(text):
        return str(ipaddress.ip_address(text) + increment)
    interface = ipaddress.ip_interface(text)
    address = interface.ip + increment
    if address not in interface.network:
        raise ValueError(f"IP address {address} is not in network {interface.network}")
    return f"{address}/{interface.network.prefixlen}"


def isofy_ipv4(text, prefix=""):
    digits = "".join(f"{octet:03}" for octet in ipaddress.IPv4Address(text).packed)
    system = f"{digits[0:4]}.{digits[4:8]}.{digits[8:12]}"
    if not prefix:
        return system
    if not re.match(r"^.{2}(\..{4})*$", prefix):
        raise ValueError(f"{prefix} cannot be used as ISO prefix")
    return f"{prefix}.{system}.00"


def ipv4_to_ipv6(network, address):
    network = ipaddress.IPv6Network(network)
    address = ipaddress.ip_interface(address).ip
    return ipaddress.IPv6Interface(f"{network[int(address)]}/{network.prefixlen}")


def get_interface(network, index):
    network = ipaddress.ip_network(network)
    return ipaddress.ip_interface(f"{network[index]}/{network.prefixlen}")


def ipwrap(address):
    try:
        return f"[{ipaddress.IPv6Address(str(address))}]"
    except ValueError:
        return address


def digest(name):
    return lambda text: hashlib.new(name, text.encode()).hexdigest()


CNAAS = {
    "increment_ip": increment_ip,
    "isofy_ipv4": isofy_ipv4,
    "ipv4_to_ipv6": ipv4_to_ipv6,
    "get_interface": get_interface,
    "ipwrap": ipwrap,
    "b64encode": lambda text: base64.b64encode(text.encode()).decode(),
    "b64decode": lambda text: base64.b64decode(text.encode()).decode(),
    "b16encode": lambda text: base64.b16encode(text.encode()).decode(),
    "b16decode": lambda text: base64.b16decode(text.encode()).decode(),
    "sha1": digest("sha1"),
    "sha256": digest("sha256"),
    "sha512": digest("sha512"),
    "md5": digest("md5"),
    "ip_address": ipaddress.ip_address,
    "ip_interface": ipaddress.ip_interface,
    "ip_network": ipaddress.ip_network,
}


# The queries of `ipaddr` that templates use most, by netaddr, of which Ansible's are made.


def ipaddr(value, query="", version=None):
    if isinstance(value, list):
        found = [ipaddr(item, query, version) for item in value]
        return [item for item in found if item]
    try:
        net = netaddr.IPNetwork(value)
    except (netaddr.AddrFormatError, ValueError, TypeError):
        return False
    if version and net.version != version:
        return False
    is_network = "/" in str(value)
    query = str(query)
    if re.fullmatch(r"-?\d+", query):
        return f"{net[int(query)]}/{net.prefixlen}"
    answers = {
        "": lambda: str(net) if is_network else str(net.ip),
        "address": lambda: str(net.ip),
        "ip": lambda: str(net.ip),
        "prefix": lambda: net.prefixlen,
        "netmask": lambda: str(net.netmask),
        "hostmask": lambda: str(net.hostmask),
        "wildcard": lambda: str(net.hostmask),
        "network": lambda: str(net.network),
        "subnet": lambda: str(net.cidr),
        "network/prefix": lambda: str(net.cidr),
        "broadcast": lambda: str(net.broadcast),
        "host": lambda: str(net),
        "revdns": lambda: net.ip.reverse_dns,
        "size": lambda: net.size,
        "version": lambda: net.version,
    }
    return answers[query]()


def hwaddr(value, query=""):
    mac = netaddr.EUI(value)
    dialects = {"linux": netaddr.mac_unix_expanded, "cisco": netaddr.mac_cisco, "unix": netaddr.mac_unix, "bare": netaddr.mac_bare}
    if not query:
        return value
    mac.dialect = dialects[query]
    return str(mac)


def ansible_filters():
    filters = {}
    for module in ("core", "mathstuff"):
        filters.update(importlib.import_module(f"ansible.plugins.filter.{module}").FilterModule().filters())
    # Those that wrap Jinja2's for the values of Ansible.
    for name in ("default", "d", "map", "select", "selectattr", "reject", "rejectattr", "groupby", "unique"):
        filters.pop(name, None)
    filters.update({f"ansible.builtin.{name}": filter for name, filter in list(filters.items())})
    network = {
        "ipaddr": ipaddr,
        "ipv4": lambda value, query="": ipaddr(value, query, 4),
        "ipv6": lambda value, query="": ipaddr(value, query, 6),
        "hwaddr": hwaddr,
    }
    for name, filter in network.items():
        filters[name] = filter
        filters[f"ansible.utils.{name}"] = filter
        filters[f"ansible.netcommon.{name}"] = filter
    return filters


def main():
    results = []
    for case in json.load(sys.stdin):
        environment = Relative(
            loader=DictLoader(case["files"]),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
        )
        environment.filters.update(ansible_filters())
        environment.filters.update(jinja2_convenience_function())
        environment.filters.update(CNAAS)
        try:
            results.append({"text": environment.get_template(case["entry"]).render(case["variables"])})
        except Exception as error:
            results.append({"error": f"{type(error).__name__}: {error}"})
    json.dump(results, sys.stdout)


main()
