"""Asks each device for its version by Nornir and pyeapi, which verifies its certificate; prints how many seconds that takes.

Arguments: the address of the first device, the number of devices, their port, and the file of their authorities.
"""

import ipaddress
import json
import os
import ssl
import sys
import time

import pyeapi
from nornir.core import Nornir
from nornir.core.inventory import Defaults, Groups, Host, Hosts, Inventory
from nornir.core.task import Result
from nornir.plugins.runners import ThreadedRunner

first, devices, port, authorities = sys.argv[1:]
context = ssl.create_default_context(cafile=authorities)


def version(task):
    host = task.host
    node = pyeapi.connect(transport="https", host=host.hostname, port=host.port, username=host.username,
                          password=host.password, context=context, timeout=30, return_node=True)
    return Result(host=host, result=node.enable("show version")[0]["result"]["version"])


first = ipaddress.ip_address(first)
hosts = Hosts()
for number in range(int(devices)):
    name = f"leaf{number:05}"
    hosts[name] = Host(name, hostname=str(first + number), port=int(port), username=os.environ["BENCH_USERNAME"],
                       password=os.environ["BENCH_PASSWORD"])
nornir = Nornir(Inventory(hosts, Groups(), Defaults()), runner=ThreadedRunner(256))
begin = time.perf_counter()
results = nornir.run(version)
seconds = time.perf_counter() - begin
for name, failed in results.failed_hosts.items():
    sys.exit(f"{name}: {failed[0].exception!r}")
json.dump({"seconds": seconds, "done": len(results)}, sys.stdout)
