"""Runs the calls with the client that is generated from the schema, and prints what it found as JSON."""

import asyncio
import json
import os

from lockstep_client import Client, RunLimits, RunOnEnum


async def main() -> dict:
    headers = {"Authorization": f"Bearer {os.environ['LOCKSTEP_TOKEN']}"}
    async with Client(url=f"{os.environ['LOCKSTEP_URL']}/graphql", headers=headers) as client:
        limits = RunLimits(atOnce=1, canary=1)
        accepted = await client.neops_task("1", on=["1"], kind=RunOnEnum.DEVICE, arguments="{}", limits=limits)
        execution = accepted.neops_task_execute.execution
        aborted = await client.abort(execution.id)
    return {"id": execution.id, "name": execution.neops_task.name, "aborted": aborted.abort_execution.message}


print(json.dumps(asyncio.run(main())))
