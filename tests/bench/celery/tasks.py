"""The work of one Lockstep event as a Celery task: the same rows in one transaction, then a confirmed result."""

import hashlib
import json
import os
import uuid

import psycopg
from celery import Celery
from celery.signals import worker_process_init
from kombu import Exchange, Queue

QUEUE = "bench.celery"

app = Celery("bench", broker=os.environ["BENCH_AMQP_URL"])
app.conf.update(
    task_queues=[Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE, queue_arguments={"x-queue-type": "quorum"})],
    task_default_queue=QUEUE,
    task_default_exchange=QUEUE,
    task_default_routing_key=QUEUE,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_detect_quorum_queues=True,
    # More than the default of 4, so that no process waits for the network.
    worker_prefetch_multiplier=50,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
)

INBOX = """
    INSERT INTO inbox (source, id, kind, digest, state, at, subject, result_type, result)
    VALUES (%s, %s, %s, %s, 'applied', clock_timestamp(), %s, 'lockstep.event.applied', %s)
    ON CONFLICT DO NOTHING
"""
CAUSE = """
    INSERT INTO cause (id, cause, source, message_id, kind, at)
    VALUES (nextval('cause_block'), 'interface-updated', %s, %s, %s, clock_timestamp())
    RETURNING id
"""
FLAG = """
    UPDATE device SET
        desired_generation = desired_generation + 1,
        unsynchronized_since = coalesce(unsynchronized_since, clock_timestamp()),
        open_causes = (open_causes || %s::bigint)[greatest(1, cardinality(open_causes) - 30):]
    WHERE hostname = %s
"""

database = None


@worker_process_init.connect
def connect(**_):
    global database
    database = psycopg.connect(os.environ["BENCH_POSTGRES_URL"], autocommit=True)


@app.task
def flip(body):
    event = json.loads(body)
    data = event["data"]
    said = event["type"] + "\0" + event["subject"] + "\0" + json.dumps(data, sort_keys=True)
    digest = hashlib.sha256(said.encode()).digest()
    hostname = data["hostname"]
    applied = {"outcome": "applied", "scope": "device", "flipped": 1, "devices": [hostname], "truncated": False}
    # One transaction; autocommit means that none is open outside of it.
    with database.transaction():
        row = (event["source"], event["id"], event["type"], digest, hostname, json.dumps(applied))
        if database.execute(INBOX, row).rowcount == 1:
            cause = database.execute(CAUSE, (event["source"], event["id"], event["type"])).fetchone()[0]
            database.execute(FLAG, (cause, hostname))
    answer = {
        "specversion": "1.0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, event["id"])),
        "source": "urn:lockstep:worker",
        "type": "lockstep.event.applied",
        "subject": hostname,
        "time": event["time"],
        "datacontenttype": "application/json",
        "causationid": event["source"] + " " + event["id"],
        "data": applied,
    }
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            json.dumps(answer),
            exchange="lockstep.results",
            routing_key="lockstep.event.applied",
            content_type="application/cloudevents+json",
            content_encoding="utf-8",
            delivery_mode=2,
            message_id=answer["id"],
            correlation_id=event["id"],
        )
