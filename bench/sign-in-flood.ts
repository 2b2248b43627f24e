import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from './lab.ts';
import type { Load } from './load/figures.ts';
import type { Pace, Paced, PacedClientHandlers } from './load/paced-clients.ts';
import { startProcess } from './load/processes.ts';
import { program, type Scale } from './load/scale.ts';

/** What others' queries took while nobody signed in, and while too many did. */
export interface Flood {
  quiet: Load;
  flooded: Load;
  /** What became of those who signed in. */
  signIns: Paced;
}

const QUERIES_PER_SECOND = 50;
/** More than one core hashes, at two hashes each. */
export const SIGN_INS_PER_SECOND = 25;
/** Until the queue of hashes is as long as it gets; and until it is empty again. */
const RISE_MS = 3_000;
/** Others on the machine may come and go: with and without take turns. */
const TURNS = 3;
/** Fields of three subgraphs. */
const QUERY = '{ me { id name roles { role tenant { name } } } hosts { edges { node { id name state } } } operations(first: 10) { edges { node { id state } } } }';
const LOGIN = 'mutation ($email: String!, $password: String!) { login(input: { email: $email, password: $password }) { accessToken } }';

/** Queries at a steady rate, first alone, then beside people who guess at passwords: no gateway stops those. */
export async function measureSignInFlood({ product }: Lab, { seconds }: Scale): Promise<Flood> {
  const { url, email, password } = product;
  await using asking = startProcess<PacedClientHandlers>(program('paced-clients'));
  await using guessing = startProcess<PacedClientHandlers>(program('paced-clients'));
  const queries: Pace = { url, authorization: await authorizationOf(url, { email, password }), perSecond: QUERIES_PER_SECOND, seconds: seconds / TURNS, query: QUERY, variables: {} };
  await asking.ask('ask', { ...queries, seconds: 3 }); // the code is compiled
  const guesses: Pace = { url, authorization: null, perSecond: SIGN_INS_PER_SECOND, seconds: queries.seconds + RISE_MS / 1_000, query: LOGIN, variables: { email: 'guessed-{n}@example.org', password: 'a guess that is wrong' } };
  const found: Record<'quiet' | 'flooded' | 'signIns', Paced[]> = { quiet: [], flooded: [], signIns: [] };
  const cpuSeconds = { quiet: 0, flooded: 0 };
  const query = async (kind: 'quiet' | 'flooded'): Promise<void> => {
    const before = product.usage().cpuSeconds;
    found[kind].push(await asking.ask('ask', queries));
    cpuSeconds[kind] += product.usage().cpuSeconds - before;
  };
  for (let turn = 0; turn < TURNS; turn += 1) {
    await query('quiet');
    const guessed = guessing.ask('ask', guesses);
    await delay(RISE_MS);
    await query('flooded');
    found.signIns.push(await guessed);
    await delay(RISE_MS);
  }
  const loadOf = (kind: 'quiet' | 'flooded'): Load => {
    const { latencies, asked } = together(found[kind]);
    const inSeconds = TURNS * queries.seconds;
    return {
      ...{ latencies, arrived: latencies.length, expected: asked, outOfOrder: 0, rate: latencies.length / inSeconds },
      ...{ residentBytes: product.residentBytes(), cpuShare: cpuSeconds[kind] / inSeconds },
    };
  };
  return { quiet: loadOf('quiet'), flooded: loadOf('flooded'), signIns: together(found.signIns) };
}

function together(turns: readonly Paced[]): Paced {
  const errors: Record<string, number> = {};
  for (const turn of turns) for (const [code, count] of Object.entries(turn.errors)) errors[code] = (errors[code] ?? 0) + count;
  return { latencies: Float64Array.from(turns.flatMap(({ latencies }) => [...latencies])), asked: turns.reduce((sum, { asked }) => sum + asked, 0), errors };
}

async function authorizationOf(url: string, credentials: { email: string; password: string }): Promise<string> {
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: LOGIN, variables: credentials }) });
  const { data } = (await response.json()) as { data: { login: { accessToken: string } } };
  return `Bearer ${data.login.accessToken}`;
}
