import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { DomainError, newId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import type { RequestContext, Subgraph } from '@novacron/contracts';
import { startSequencer } from '@novacron/events';
import { createBuilder, toSubgraphSchema } from '@novacron/graphql';
import { eventually, migratedDatabase, startRedis, type TestDatabase, type TestRedis } from '@novacron/testkit';
import { createSubgraphExecutor, serveSubgraphs } from '@novacron/transport';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { auditSubgraph, createAuditTrail, type AuditEntry, type AuditTrail } from '../src/index.ts';

const logger = pino({ level: 'silent' });
let database: TestDatabase;
let redis: TestRedis;
let owner: pg.Pool;
let trail: AuditTrail;
let subgraph: Subgraph;

beforeAll(async () => {
  [database, redis] = await Promise.all([migratedDatabase(), startRedis()]);
  owner = new pg.Pool({ connectionString: database.url, max: 2 });
  owner.on('error', () => {}); // of a connection that the database's end meets on its way out
  trail = createAuditTrail({ databaseUrl: database.url, service: 'vms', logger });
  subgraph = auditSubgraph({ name: 'vms', schema: schema(), createContext: (request) => ({ ...request }) }, trail);
});
afterAll(async () => {
  await trail?.close();
  await owner?.end();
  await Promise.all([database?.drop(), redis?.stop()]);
});
beforeEach(() => void (ran = 0));

let ran = 0;

function schema() {
  const builder = createBuilder<RequestContext>();
  builder.queryType({
    description: 'What can be asked.',
    fields: (t) => ({ secret: t.boolean({ nullable: true, description: 'For nobody.', resolve: () => deny() }) }),
  });
  builder.mutationType({
    description: 'What can be changed.',
    fields: (t) => ({
      change: t.boolean({
        description: 'Counts.',
        args: { how: t.arg.string({ description: 'How.' }) },
        resolve: (_root, { how }) => {
          if (how === 'denied') return deny();
          if (how === 'broken') throw new Error('inside');
          ran += 1;
          return true;
        },
      }),
    }),
  });
  return toSubgraphSchema(builder);
}

function deny(): never {
  throw new DomainError('FORBIDDEN', 'Not you.');
}

const viewer = { userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: [{ role: 'viewer' as const, tenantId: newId<TenantId>() }] };
let requests = 0;

async function ask(query: string) {
  requests += 1;
  const context = { viewer, requestId: `request-${requests}`, address: '192.0.2.1', userAgent: null };
  return { requestId: context.requestId, ...(await createSubgraphExecutor(subgraph, logger)({ query, context })) };
}

/** Of what has ended, in the log or on the way to it. */
const ended = async (requestId: string): Promise<Partial<AuditEntry>[]> =>
  (await owner.query<{ entry: AuditEntry }>('SELECT entry FROM operations.audit_pending WHERE ended_at IS NOT NULL')).rows.map(({ entry }) => entry).filter((entry) => entry.requestId === requestId);
const entriesOf = (requestId: string) =>
  eventually('its end', async () => {
    const entries = await ended(requestId);
    return entries.length > 0 && entries;
  });

describe('an audited subgraph', () => {
  it.each([
    ['mutation { change }', { kind: 'MUTATION', action: 'change', outcome: 'SUCCEEDED' }],
    ['mutation { change(how: "denied") }', { kind: 'MUTATION', action: 'change', outcome: 'DENIED', code: 'FORBIDDEN' }],
    ['mutation { change(how: "broken") }', { kind: 'MUTATION', action: 'change', outcome: 'FAILED', code: 'INTERNAL' }],
    ['mutation { another: change(how: "x") }', { kind: 'MUTATION', action: 'change', outcome: 'SUCCEEDED', arguments: { how: 'x' } }],
    ['{ secret }', { kind: 'ACCESS', action: 'secret', outcome: 'DENIED', code: 'FORBIDDEN' }],
  ])('%s', async (query, entry) => {
    const { requestId } = await ask(query);
    expect(await entriesOf(requestId)).toMatchObject([{ ...entry, userId: viewer.userId, tenantId: viewer.roles[0]?.tenantId }]);
  });

  it('does nothing that can not be written down', async () => {
    await owner.query('REVOKE EXECUTE ON FUNCTION operations.write_audit FROM novacron_vms');
    const { data, errors } = await ask('mutation { change }').finally(() => owner.query('GRANT EXECUTE ON FUNCTION operations.write_audit TO novacron_vms'));
    expect({ data, ran }).toEqual({ data: null, ran: 0 });
    expect(errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE', retryable: true } }]);
  });

  it('tells of whoever asks it past the gateway', async () => {
    const { publicKey } = generateKeyPairSync('ed25519');
    const server = await serveSubgraphs({ subgraphs: [subgraph], host: '127.0.0.1', port: 0, internalPublicKey: publicKey, logger });
    const { status } = await fetch(`${server.url}/vms/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer forged' }, body: '{"query":"mutation { change }"}' });
    await server.close();
    expect({ status, ran }).toEqual({ status: 401, ran: 0 });
    await eventually('the refusal', async () => {
      const { rows } = await owner.query(`SELECT entry FROM operations.audit_pending WHERE entry ->> 'action' = 'authenticate'`);
      return expect(rows).toMatchObject([{ entry: { kind: 'ACCESS', outcome: 'DENIED', code: 'UNAUTHENTICATED', address: '127.0.0.1' } }]);
    });
  });

  it('says UNKNOWN of what a killed process had begun', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'mutating-process.ts'), database.url], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data'); // the resolver runs
    child.kill('SIGKILL');
    await once(child, 'close');
    const sequencer = startSequencer({ databaseUrl: database.url, redis: redis.options, logger, audit: { unknownAfterMs: 0 } });
    await eventually('the entry', async () => {
      const { rows } = await owner.query<{ content: string }>(`SELECT content FROM operations.audit_log WHERE request_id = 'killed'`);
      return expect(rows.map(({ content }) => JSON.parse(content) as AuditEntry)).toMatchObject([{ action: 'hang', outcome: 'UNKNOWN' }]);
    });
    await sequencer.close();
  });
});
