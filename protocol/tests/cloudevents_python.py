"""Decodes and encodes messages with the CloudEvents SDK for Python.

Reads one message per line from standard input and writes each, encoded again by the SDK, to standard output. The last
line is an event that the SDK built.
"""

import sys
from datetime import datetime, timezone

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

json_format = JSONFormat()
out = sys.stdout.buffer


def put(event: CloudEvent) -> None:
    out.write(json_format.write(event) + b"\n")


for line in sys.stdin.buffer:
    event = json_format.read(CloudEvent, line)
    assert event.get_specversion() == "1.0"
    assert event.get_type().startswith("lockstep."), event.get_type()
    assert isinstance(event.get_data(), dict), event.get_data()
    put(event)

put(
    CloudEvent(
        attributes={
            "id": "42",
            "source": "urn:example:netbox",
            "type": "lockstep.device.removed",
            "time": datetime(2026, 3, 1, 12, 0, 0, 250000, tzinfo=timezone.utc),
        },
        data={"hostname": "eosaccess9"},
    )
)
