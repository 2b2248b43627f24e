/** Hive Gateway in a process of its own: GraphQL over WebSocket before the subgraphs that the supergraph names, without authentication. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createGatewayRuntime, getGraphQLWSOptions } from '@graphql-hive/gateway-runtime';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { serveParent } from '../load/processes.ts';

serveParent({
  async start({ supergraphSdl }) {
    const gateway = createGatewayRuntime({ supergraph: supergraphSdl, logging: 'warn', landingPage: false, graphiql: false, maskedErrors: false });
    const server = createServer(gateway);
    const sockets = new WebSocketServer({ server, path: '/graphql', perMessageDeflate: false });
    useServer(getGraphQLWSOptions(gateway, ({ extra }) => ({ socket: extra.socket, req: extra.request })), sockets);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${server.address().port}`;
    await fetch(`${url}/graphql?query={__typename}`); // it reads the supergraph with the first request, and WebSockets need it
    return url;
  },
});
