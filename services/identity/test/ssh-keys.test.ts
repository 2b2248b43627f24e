import type { Viewer } from '@novacron/contracts';
import { newId, type ErrorRecord, DomainError } from '@novacron/core';
import { postgresPool } from '@novacron/database';
import { callDoor, type Sql } from '@novacron/operations';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { login, member, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let alice: Viewer;
let bob: Viewer;
/** As the service vms connects. */
let vms: pg.Pool;

beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  const admin = (await login(identity)).viewer;
  const { data } = await identity.ask(admin, '{ tenants { edges { node { id } } } }');
  const tenant = data['tenants'].edges[0].node.id;
  [alice, bob] = [await member(identity, admin, 'alice', tenant, 'operator'), await member(identity, admin, 'bob', tenant, 'operator')];
  vms = postgresPool(identity.databaseUrl, 'vms', 1);
}, 60_000);
afterAll(async () => {
  await vms.end();
  await identity.close();
});

const ADD = 'mutation ($publicKey: String!, $name: String) { addSshKey(input: { publicKey: $publicKey, name: $name }) { id name publicKey fingerprint } }';
const REMOVE = 'mutation ($id: ID!) { removeSshKey(id: $id) }';
const MINE = '{ me { sshKeys { id name } } }';

/** A public key like no other. */
function newKey(comment = ''): string {
  const part = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  const blob = Buffer.concat([part(Buffer.from('ssh-ed25519')), part(Buffer.from(newId().replaceAll('-', '')))]);
  return `ssh-ed25519 ${blob.toString('base64')} ${comment}`.trim();
}

async function add(viewer: Viewer, publicKey: string, name?: string): Promise<{ id: string; name: string; publicKey: string; fingerprint: string }> {
  const { data, error } = await identity.ask(viewer, ADD, { publicKey, name });
  if (error) throw new Error(error.message);
  return data['addSshKey'];
}

describe('an SSH key', () => {
  it('is shown to its user, by the name that it was given or its comment', async () => {
    const key = newKey('alice@laptop');
    const added = await add(alice, ` ${key}\n`);
    expect(added).toEqual({ id: added.id, name: 'alice@laptop', publicKey: key, fingerprint: expect.stringMatching(/^SHA256:[\w+/]{43}$/) });
    const named = await add(alice, newKey('alice@laptop'), 'yubikey');
    const bare = await add(alice, newKey());
    expect(bare.name).toBe(bare.fingerprint);
    expect((await identity.ask(alice, MINE)).data['me'].sshKeys).toEqual([added, named, bare].map(({ id, name }) => ({ id, name })));
    expect((await identity.ask(bob, MINE)).data['me'].sshKeys).toEqual([]);
    expect((await identity.ask(bob, 'query ($id: ID!) { user(id: $id) { sshKeys { id } } }', { id: alice.userId })).error).toMatchObject({ code: 'FORBIDDEN' });
  });

  it('is kept once for a user, under any race, and by others all the same', async () => {
    const key = newKey();
    const answers = await Promise.all(Array.from({ length: 4 }, () => identity.ask(alice, ADD, { publicKey: key })));
    expect(answers.map(({ error }) => error?.code ?? 'ok').toSorted()).toEqual(['ALREADY_EXISTS', 'ALREADY_EXISTS', 'ALREADY_EXISTS', 'ok']);
    expect((await identity.ask(bob, ADD, { publicKey: key })).error).toBeNull();
  });

  it('is forgotten by its user alone', async () => {
    const { id } = await add(alice, newKey());
    expect((await identity.ask(bob, REMOVE, { id })).error).toMatchObject({ code: 'NOT_FOUND', field: 'id' });
    expect((await identity.ask(alice, REMOVE, { id })).data).toEqual({ removeSshKey: true });
    expect((await identity.ask(alice, REMOVE, { id })).error).toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each<[string, string | undefined, object]>([
    ['ssh-ed25519 AAAA', undefined, { code: 'BAD_USER_INPUT', field: 'publicKey' }],
    [newKey(), '', { code: 'BAD_USER_INPUT', field: 'name' }],
  ])('is not %s by the name %s', async (publicKey, name, error) => {
    expect((await identity.ask(alice, ADD, { publicKey, name })).error).toMatchObject(error);
  });

  it('is not added for ever', async () => {
    await identity.sql(
      `INSERT INTO identity.ssh_keys (id, user_id, name, public_key, fingerprint, created_at)
       SELECT gen_random_uuid(), $1, 'x', 'x', n::text, now() FROM generate_series(1, 64 - (SELECT count(*)::int FROM identity.ssh_keys WHERE user_id = $1)) n`,
      [bob.userId],
    );
    expect((await identity.ask(bob, ADD, { publicKey: newKey() })).error).toMatchObject({ code: 'QUOTA_EXCEEDED' });
  });
});

describe('what vms is told', () => {
  const sql: Sql = {
    $queryRawUnsafe: async (text: string, ...values: unknown[]) => (await vms.query(text, values)).rows,
  } as unknown as Sql; // the part of it that doors are called by
  const keysOf = (userId: string, ids: readonly string[] | null) =>
    callDoor<string[]>(sql, 'identity.ssh_keys_of($1::jsonb)', JSON.stringify({ userId, ids })).catch((thrown: unknown): ErrorRecord => DomainError.from(thrown).toRecord());

  it("are a user's keys, and nobody else's", async () => {
    const [one, other] = [await add(alice, newKey()), await add(alice, newKey())];
    expect(await keysOf(alice.userId, [other.id, one.id.toUpperCase(), other.id])).toEqual([one.publicKey, other.publicKey]);
    expect(await keysOf(alice.userId, null)).toEqual(expect.arrayContaining([one.publicKey, other.publicKey]));
    expect(await keysOf(bob.userId, [one.id])).toMatchObject({ code: 'NOT_FOUND', field: 'cloudInit.sshKeyIds' });
    expect(await keysOf(newId(), null)).toMatchObject({ code: 'BAD_USER_INPUT', field: 'cloudInit.withMySshKeys' });
  });

  it('is all that it can read of identity', async () => {
    await expect(vms.query('SELECT * FROM identity.ssh_keys')).rejects.toThrow('permission denied');
    await expect(vms.query('SELECT * FROM identity.users')).rejects.toThrow('permission denied');
  });
});
