"""Runs the calls with gql, over HTTP and over WebSocket, and prints what it found as JSON."""

import asyncio
import json
import os

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

URL = os.environ["LOCKSTEP_URL"]
AUTHORIZATION = {"Authorization": f"Bearer {os.environ['LOCKSTEP_TOKEN']}"}

SEED = """
mutation neopsTask {
  neopsTaskExecute (neopsTaskId: 1, executeOn: [1], executeOnType: DEVICE, dryRun: true, taskArguments: "{}") {
    execution {
      id
      state
      neopsTask {
        id
        name
      }
    }
  }
}
"""
AGAIN = """
mutation again($task: ID!, $on: [ID], $arguments: JSONString, $key: ID) {
  executeNeopsTask(neopsTaskId: $task, executeOn: $on, executeOnType: DEVICE, taskArguments: $arguments, messageId: $key) {
    executions { id }
  }
}
"""
PROGRESS = "subscription progress($id: ID!) { executionSubscription(id: $id) { execution { id state } } }"


def again(arguments: str) -> GraphQLRequest:
    variables = {"task": 1, "on": [1], "arguments": arguments, "key": f"key {arguments}"}
    return GraphQLRequest(AGAIN, variable_values=variables)


async def main() -> dict:
    transport = AIOHTTPTransport(url=f"{URL}/graphql", headers=AUTHORIZATION)
    # The client validates its requests with the schema that it reads from the server.
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        execution = (await session.execute(GraphQLRequest(SEED)))["neopsTaskExecute"]["execution"]
        repeated = [await session.execute(again("{}")) for _ in range(2)]
        try:
            await session.execute(again('{"timeout_seconds": 0}'))
            error = None
        except TransportQueryError as refused:
            error = refused.errors[0]["extensions"]
    subscriptions = []
    address = URL.replace("http", "ws", 1) + "/graphql"
    for transport in (
        AIOHTTPWebsocketsTransport(url=address, init_payload=AUTHORIZATION),
        # It looks for the protocol of the answer in a header that it spells in one way, and would take another protocol.
        WebsocketsTransport(
            url=address,
            headers=AUTHORIZATION,
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        ),
    ):
        async with Client(transport=transport) as session:
            request = GraphQLRequest(PROGRESS, variable_values={"id": execution["id"]})
            progress = session.subscribe(request)
            subscriptions.append([one["executionSubscription"]["execution"]["state"] async for one in progress])
    return {"execution": execution, "repeated": repeated, "error": error, "subscriptions": subscriptions}


print(json.dumps(asyncio.run(main())))
