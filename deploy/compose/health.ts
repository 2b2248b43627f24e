/** The image's health check: is the role that this container runs at work? The exit code says so, stderr why not. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, fetch } from 'undici';
import { parseArguments } from '../../app/src/arguments.ts';
import { readEnvironment } from '../../app/src/environment.ts';

/** This container itself is asked, by an address that a certificate is hardly for. */
const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });

const TIMEOUT_MS = 4_000;
/** The agent reads its list of hosts every second. */
const SEEN_MS = 15_000;

const environment = readEnvironment();
/** What the container's first process was started with. */
const command = readFileSync('/proc/1/cmdline', 'utf8').split('\0').filter((word) => word !== '');
const { roles } = parseArguments(command.slice(command.indexOf('app/src/main.ts') + 1));

async function answers(url: string): Promise<void> {
  const response = await fetch(url, { dispatcher, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${await response.text()}`);
}

try {
  if (roles.includes('gateway')) await answers(`${environment.gateway.tls ? 'https' : 'http'}://127.0.0.1:${environment.gateway.port}/ready`);
  else if (roles.some((role) => role !== 'agent')) await answers(`http://127.0.0.1:${environment.subgraphs.port}/health`);
  else if (Date.now() - statSync(join(environment.data, 'agent.seen')).mtimeMs > SEEN_MS) throw new Error('The agent has not read its list of hosts for a while.');
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
