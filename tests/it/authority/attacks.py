"""What a broker user that may publish only `lockstep.interface.updated` tries beyond that. Prints the ids of the messages that the
broker took; the broker must refuse the others. Bounded: a dozen messages on one connection."""

import json
import os
import uuid

import pika

ALLOWED = "lockstep.interface.updated"
COMMAND = "lockstep.device.state-requested"
UPDATE = {"hostname": "sw0", "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]}
UNMANAGE = {"hostname": "sw0", "state": "UNMANAGED"}
DROP = {"matching": {"up_to": 1000}}
IMPORT = {"devices": [{"hostname": "intruder", "device_type": "ACCESS"}]}

parameters = pika.URLParameters(os.environ["LOCKSTEP_BROKER_URL"])
user = parameters.credentials.username
connection = pika.BlockingConnection(parameters)


def publish(kind, data, key=ALLOWED, exchange="lockstep.events", source="urn:example:attack", **properties):
    channel = connection.channel()
    channel.confirm_delivery()
    message = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": source, "type": kind, "data": data}
    channel.basic_publish(
        exchange,
        key,
        json.dumps(message).encode(),
        pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2, type=kind, **properties),
    )
    channel.close()
    print(message["id"])


def refused(**what):
    try:
        publish(**what)
    except pika.exceptions.ChannelClosedByBroker as error:
        assert error.reply_code == 403, error
    else:
        raise SystemExit(f"the broker took {what}")


# Another type in the body than the routing key, with and without the sender.
publish(COMMAND, UNMANAGE)
publish(COMMAND, UNMANAGE, user_id=user)
publish("lockstep.dead-letter.drop-requested", DROP, user_id=user)
publish("lockstep.inventory.imported", IMPORT, user_id=user)
publish("lockstep.internal.repository.tip-moved", {"repository": "settings", "tip": "1" * 40}, user_id=user)
# A copy into another lane.
publish(COMMAND, UNMANAGE, user_id=user, headers={"CC": [COMMAND]})
# Headers of workers.
publish(COMMAND, UNMANAGE, user_id=user, headers={"lockstep-actor": "console", "lockstep-redrive-count": "7"})
# The reply queue of somebody else, and one without a sender.
publish(ALLOWED, UPDATE, user_id=user, reply_to="lockstep.reply.somebody.1")
publish(ALLOWED, UPDATE, reply_to=f"lockstep.reply.{user}.1")
# Sources that belong to others.
for source in ["urn:lockstep:worker", "urn:lockstep:id-reused", "/webhooks/github/settings", "urn:example:netbox"]:
    publish(ALLOWED, UPDATE, source=source, user_id=user)
# What expires is dead-lettered by the broker.
publish(COMMAND, UNMANAGE, user_id=user, expiration="0")

refused(kind=COMMAND, data=UNMANAGE, key=COMMAND, user_id=user)
refused(kind=COMMAND, data=UNMANAGE, exchange="", key="lockstep.lane.commands", user_id=user)
refused(kind=COMMAND, data=UNMANAGE, exchange="lockstep.work", key="commands", user_id=user)
connection.close()
