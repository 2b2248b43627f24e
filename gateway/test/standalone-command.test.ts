import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { join } from 'node:path';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseArguments } from '../src/standalone/arguments.ts';
import { startShop, type Shop } from './shop.ts';

const root = join(import.meta.dirname, '../..');
const MAIN = join(root, 'gateway/src/standalone/main.ts');

let shop: Shop;
beforeAll(async () => {
  shop = await startShop();
});
afterAll(() => shop.close());

it('serves a file and says where, and ends when it is told to', async () => {
  const gateway: ChildProcessByStdio<null, Readable, null> = spawn(process.execPath, [MAIN, '--supergraph', shop.supergraphFile, '--port', '0', '--subgraph', `catalog=${shop.urls.catalog}?told`], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  gateway.stdout.on('data', (chunk: Buffer) => (said += String(chunk)));
  try {
    const url = await eventually('the address', () => /^(http:\/\/127\.0\.0\.1:\d+\/graphql) serves .*:$/m.exec(said)?.[1], { timeoutMs: 30_000 });
    await eventually('the subgraphs', () => said.includes(shop.urls.shipping));
    expect(said).toContain(`catalog  ${shop.urls.catalog}?told`);
    const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"query":"{ product(upc: \\"p1\\") { name postage } }"}' });
    expect(await answer.json()).toEqual({ data: { product: { name: 'Lamp', postage: 110 } } });
  } finally {
    gateway.kill('SIGTERM');
  }
  expect(await once(gateway, 'exit')).toEqual([0, null]);
});

it('says in one line what is wrong', () => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, '--supergraph', '/nowhere/supergraph.graphql'], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([1, "The supergraph can't be read from /nowhere/supergraph.graphql: there is no such file.\n"]);
});

describe('the arguments', () => {
  it('are a file, an address, a port and subgraphs', () => {
    const parsed = parseArguments(['--supergraph', 'a.graphql', '--host', '::1', '--port', '4001', '--subgraph', 'a=http://a.example/graphql?x=y', '--subgraph', 'b=https://b.example']);
    expect(parsed).toEqual({
      help: false,
      supergraphFile: 'a.graphql',
      host: '::1',
      port: 4001,
      subgraphUrls: new Map([
        ['a', 'http://a.example/graphql?x=y'],
        ['b', 'https://b.example'],
      ]),
    });
  });

  it.each([
    [[], '--supergraph says which file'],
    [['--supergraph', 'a', '--port', '70000'], '--port is a number up to 65535, not "70000".'],
    [['--supergraph', 'a', '--port', ''], '--port is a number'],
    [['--supergraph', 'a', '--subgraph', 'a'], 'not "a".'],
    [['--supergraph', 'a', '--subgraph', 'a=ftp://a.example'], 'not "a=ftp://a.example".'],
    [['--supergraph', 'a', '--subgraph', 'a=http://a', '--subgraph', 'a=http://b'], '--subgraph names "a" twice.'],
    [['--supergraph', 'a', '--verbose'], "Unknown option '--verbose'"],
  ])('%j are refused in a sentence', (argv, message) => {
    expect(() => parseArguments(argv)).toThrow(message);
  });
});
