"""NAPALM's driver for EOS against simulated devices: it replaces and merges configurations, compares, commits with a timer, and confirms.

One device for each dialect, and one on which somebody else has a session.
"""

import json
import os
import ssl
import sys
import time
import types

import napalm
import napalm.eos.eos as driver
from napalm.base.exceptions import CommitError, MergeConfigException, ReplaceConfigException, SessionLockedException

HOSTS = os.environ["EAPI_HOSTS"].split(",")

REPLACEMENT = """! a comment
hostname replaced
!
vlan 200
   name servers
!
interface Ethernet1
   description uplink
   no switchport
   ip address 10.0.0.1/31
!
banner login
Welcome
EOF
!
router bgp 65000
   !! an explanation
   router-id 10.0.0.1
   neighbor 10.0.0.0 remote-as 65001
   !
   address-family ipv4
      neighbor 10.0.0.0 activate
!
management api http-commands
   no shutdown
!
end
"""


class Clock(types.SimpleNamespace):
    """A clock that passes only while somebody sleeps, in the place of the ten seconds that the driver waits for a lock."""

    def __init__(self):
        self.now = 0.0
        super().__init__(time=lambda: self.now, sleep=self.pass_time)

    def pass_time(self, seconds):
        self.now += seconds


def connect(host):
    context = ssl.create_default_context(cafile=os.environ["EAPI_CA"])
    arguments = {"port": int(os.environ["EAPI_PORT"]), "context": context}
    device = napalm.get_network_driver("eos")(
        host, os.environ["EAPI_USERNAME"], os.environ["EAPI_PASSWORD"], timeout=20, optional_args=arguments)
    device.open()
    return device


def error_of(call):
    try:
        return {"returned": call()}
    except (CommitError, MergeConfigException, ReplaceConfigException, SessionLockedException) as error:
        return {"type": type(error).__name__, "message": str(error)}


def running(device):
    return device.get_config(retrieve="running")["running"]


def work(host):
    device = connect(host)
    facts = device.get_facts()
    before = running(device)
    seen = {"facts": [facts[key] for key in ("hostname", "vendor", "serial_number", "interface_list")]}

    device.load_replace_candidate(config=REPLACEMENT)
    seen["replace"] = device.compare_config()
    device.discard_config()
    seen["discarded"] = running(device) == before

    device.load_replace_candidate(config=REPLACEMENT)
    device.commit_config(revert_in=300)
    pending = device._get_pending_commits()
    seen["pending"] = [list(pending) == [device.config_session], 290 < pending[device.config_session] <= 300]
    seen["second"] = error_of(lambda: device.commit_config(revert_in=300))
    device.confirm_commit()
    seen["confirmed"] = [device.has_pending_commit(), "hostname replaced" in running(device)]
    device.load_replace_candidate(config=running(device))
    seen["same"] = device.compare_config()
    device.discard_config()

    device.load_merge_candidate(config="interface Ethernet1\n   description merged\nntp server 10.0.0.9")
    seen["merge"] = device.compare_config()
    device.commit_config(revert_in=60)
    device.rollback()
    seen["rolled back"] = [device.has_pending_commit(), "merged" in running(device)]

    device.load_merge_candidate(config="hostname committed")
    device.commit_config()
    seen["committed"] = "hostname committed" in running(device)
    device.rollback()
    seen["replaced"] = "hostname replaced" in running(device)
    seen["nothing to confirm"] = error_of(device.confirm_commit)
    seen["refused"] = error_of(lambda: device.load_merge_candidate(config="refused line"))
    device.close()
    return seen


def locked(host):
    driver.time = Clock()
    device = connect(host)
    seen = error_of(lambda: device.load_merge_candidate(config="hostname x"))
    driver.time = time
    return seen


json.dump({"old": work(HOSTS[0]), "new": work(HOSTS[1]), "locked": locked(HOSTS[2])}, sys.stdout)
