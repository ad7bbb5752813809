"""Checks how cvprac works with the simulated CloudVision: runs one of the functions below and prints its result as JSON."""

import json
import os
import sys

from cvprac.cvp_client import CvpClient


def connect(**arguments):
    user = {"username": os.environ["CVP_USERNAME"], "password": os.environ["CVP_PASSWORD"]}
    client = CvpClient()
    client.connect(
        os.environ["CVP_HOSTNAME"].split(","),
        port=int(os.environ["CVP_PORT"]),
        cert=os.environ["CVP_CA"],
        **{**user, **arguments},
    )
    return client


def read():
    api = connect().api
    mac = "48:49:b7:a2:9a:82"
    device = api.get_device_by_mac(mac)
    inventory = api.get_inventory()
    changes = api.change_control_get_all()["data"]
    diff = api.get_config_diff_for_task("1788")
    return {
        "version": api.get_cvp_info()["version"],
        "inventory": len(inventory),
        "containers": sorted({row["containerName"] for row in inventory}),
        "hostname": device["hostname"],
        "same": api.get_device_by_serial(device["serialNumber"])["key"] == mac,
        "by name": api.get_device_by_name(device["fqdn"])["key"] == mac,
        "change controls": [change["result"]["value"]["key"]["id"] for change in changes],
        "one": api.change_control_get_one("cc2")["value"]["key"]["id"],
        "none": api.change_control_get_one("cc9"),
        "diff": sum(1 for message in diff for line in message.get("diff", {}).get("entries", []) if line["op"] != "NOP"),
        "unknown task": api.get_task_by_id(9),
        "logs": api.get_logs_by_id("1788"),
        "indication": api.check_compliance("fc:9b:59:6a:83:8c", "netelement")["complianceIndication"],
    }


def work():
    client = connect()
    client.api.add_note_to_task("1810", "seen")
    client.api.execute_task("1788")
    client.api.cancel_task(1810)
    task = client.api.get_task_by_id(1810)
    client.logout()
    return [task["note"], task["workOrderUserDefinedStatus"], task["taskStatus"], client.session is None]


def poll():
    api = connect().api
    return [len(api.get_tasks_by_status("Pending")) for _ in range(10)]


def token():
    client = connect(username="", password="", api_token=os.environ["CVP_TOKEN"])
    return [len(client.api.get_tasks_by_status("Pending")), client.api.get_cvp_info()["version"]]


def cvaas():
    client = connect(username="", password="", is_cvaas=True, cvaas_token=os.environ["CVP_TOKEN"])
    return [len(client.api.get_tasks_by_status("Pending")), client.api.get_cvp_info()["version"]]


def suffer():
    api = connect().api
    outcomes = []
    for call in [
        lambda: api.check_compliance("fc:9b:59:6a:83:8c", "netelement"),
        lambda: api.get_tasks(),
        lambda: api.cancel_task("1811"),
        lambda: api.add_note_to_task("1811", "x"),
        lambda: api.execute_task("1811"),
    ]:
        try:
            outcomes.append(call())
        except Exception as error:
            outcomes.append(type(error).__name__)
    return outcomes


print(json.dumps(globals()[sys.argv[1]]()))
