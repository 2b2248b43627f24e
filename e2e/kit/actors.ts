import { generateKeyPairSync, sign } from 'node:crypto';
import type { RequestContext } from '@novacron/contracts';
import { redisOptions } from '@novacron/local';
import { createSecrets } from '@novacron/secrets';
import { createIdentityService } from '@novacron/service-identity';
import { createInProcessDataSource } from '@novacron/transport';
import { pino } from 'pino';
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
export const expiredToken = ({ databaseUrl, redisUrl, environment }: Embedded): Promise<string> =>
  tokenOfAge({ databaseUrl, redisUrl, masterKeyFile: environment.keys.master }, 60 * 60_000);

/** A token that our own key has signed some time ago, in a session of the administrator's that is open. */
export async function tokenOfAge({ databaseUrl, redisUrl, masterKeyFile }: { databaseUrl: string; redisUrl: string; masterKeyFile: string }, ageMs: number): Promise<string> {
  const identity = createIdentityService({
    databaseUrl,
    secrets: await createSecrets(masterKeyFile),
    bootstrap: ADMIN,
    redis: redisOptions(redisUrl),
    clock: () => new Date(Date.now() - ageMs),
  });
  try {
    const context: RequestContext = { viewer: null, requestId: 'e2e', address: null, userAgent: null };
    const { data } = await createInProcessDataSource(identity.subgraph, pino({ level: 'silent' })).process({
      query: 'mutation ($input: LoginInput!) { login(input: $input) { accessToken } }',
      variables: { input: ADMIN },
      context,
    });
    return (data as { login: { accessToken: string } }).login.accessToken; // as the mutation asks for it
  } finally {
    await identity.close();
  }
}
