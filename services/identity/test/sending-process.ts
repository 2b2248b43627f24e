/** A process that sends mails, for tests that kill it: run with { databaseUrl, masterKey, redisUrl, mail, now } as its argument. */
import { redisOptions } from '@novacron/local';
import { secretsOf } from '@novacron/secrets';
import { createIdentityService } from '../src/service.ts';

const { databaseUrl, masterKey, redisUrl, mail, now } = JSON.parse(process.argv[2] ?? '');
const secrets = secretsOf(Buffer.from(masterKey, 'base64'));
createIdentityService({ databaseUrl, secrets, redis: redisOptions(redisUrl), mail, clock: () => new Date(now), bootstrap: { email: 'nobody@example.org' } }).start();
