// Runs the calls with graphql-request, graphql-ws and graphql-sse, and prints what they found as JSON.

import { GraphQLClient, gql } from "graphql-request";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";

const url = `${process.env.LOCKSTEP_URL}/graphql`;
const headers = { Authorization: `Bearer ${process.env.LOCKSTEP_TOKEN}` };

const SEED = gql`
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
`;
const AGAIN = gql`
  mutation again($task: ID!, $on: [ID], $arguments: JSONString, $key: ID) {
    executeNeopsTask(neopsTaskId: $task, executeOn: $on, executeOnType: DEVICE, taskArguments: $arguments, messageId: $key) {
      executions { id }
    }
  }
`;
const PROGRESS = "subscription progress($id: ID!) { executionSubscription(id: $id) { execution { id state } } }";

const client = new GraphQLClient(url, { headers });
const again = (text) => client.request(AGAIN, { task: 1, on: [1], arguments: text, key: `key ${text}` });

const { neopsTaskExecute: { execution } } = await client.request(SEED);
const repeated = [await again("{}"), await again("{}")];
const error = await again('{"timeout_seconds": 0}').then(
  () => null,
  (refused) => refused.response.errors[0].extensions,
);

async function states(subscriptions) {
  const query = { query: PROGRESS, variables: { id: execution.id } };
  const found = [];
  for await (const { data, errors } of subscriptions.iterate(query)) {
    if (errors) throw new Error(JSON.stringify(errors));
    found.push(data.executionSubscription.execution.state);
  }
  await subscriptions.dispose();
  return found;
}

const subscriptions = [
  await states(createWsClient({ url: url.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams: headers })),
  await states(createSseClient({ url, headers, singleConnection: false })),
];
console.log(JSON.stringify({ execution, repeated, error, subscriptions }));
