import { generateKeyPairSync, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { RequestContext } from '@novacron/contracts';
import { redisOptions } from '@novacron/local';
import { createIdentityService } from '@novacron/service-identity';
import { createInProcessDataSource } from '@novacron/transport';
import type { Embedded } from './embedded.ts';
import { ADMIN } from './people.ts';

/** The token with the same words in it, signed by a key that is not ours. */
export function forge(token: string): string {
  const [header, payload] = token.split('.');
  const signed = `${header}.${payload}`;
  const { privateKey } = generateKeyPairSync('ed25519');
  return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`;
}

/** A token that our own key has signed, in a session that is open, an hour ago: its time is over. */
export async function expiredToken({ databaseUrl, redisUrl, environment, logger }: Embedded): Promise<string> {
  const identity = createIdentityService({
    databaseUrl,
    masterKey: await readFile(environment.keys.master),
    bootstrap: ADMIN,
    redis: redisOptions(redisUrl),
    clock: () => new Date(Date.now() - 60 * 60_000),
  });
  try {
    const context: RequestContext = { viewer: null, requestId: 'e2e', address: null, userAgent: null };
    const { data } = await createInProcessDataSource(identity.subgraph, logger).process({
      query: 'mutation ($input: LoginInput!) { login(input: $input) { accessToken } }',
      variables: { input: ADMIN },
      context,
    });
    return (data as { login: { accessToken: string } }).login.accessToken; // as the mutation asks for it
  } finally {
    await identity.close();
  }
}
