import type { Viewer } from '@novacron/contracts';
import { networkOf } from '@novacron/core';
import type { DocumentNode, OperationDefinitionNode } from 'graphql';
import { attemptsIn } from './attempts.ts';
import type { Ledger } from './ledger.ts';
import { RateLimited, rateLimitFields, type Charge, type Fields, type Quota, type Standing } from './quota.ts';

/** Whom something counts for. */
export interface Caller {
  viewer: Viewer | null;
  address: string | null;
}

/** An operation that is about to be planned. */
export interface ChargedOperation {
  document: DocumentNode;
  operation: OperationDefinitionNode;
  /** What it is going to cost, as far as can be said. */
  points: number;
}

/** What one request may use; asked again when more of it is known. */
export interface Allowance {
  /** Takes the first point, which every request costs, before any of it is read. RATE_LIMITED. */
  admit(): Promise<void>;
  /** Takes what an operation is going to use beside that, before it is planned: all of it or nothing. RATE_LIMITED. */
  charge(operation: ChargedOperation): Promise<void>;
  /** The same for what no operation stands for: so many points. RATE_LIMITED. */
  spend(points: number): Promise<void>;
  /** Corrects the points to what the operation did use: one at least. */
  settle(points: number): void;
  /** What its caller has left, and when to come back after a refusal. */
  fields(): Fields;
}

const REFUSALS: Readonly<Record<string, string>> = {
  api: 'Too much was asked for within a minute',
  login: 'Too many attempts to sign in within a minute',
  password: 'Passwords were asked for too often within a minute',
  made: 'Too many users, tokens or keys made within a minute',
  register: 'Too many accounts made, or mails asked for, within a minute',
};

/** `onRefused` is told which limit it was. */
export function createAllowance(caller: Caller, ledger: Ledger, onRefused: (limit: string) => void): Allowance {
  const { api } = ledger.quotas;
  const network = `address:${networkOf(caller.address)}`;
  const whose = caller.viewer === null ? network : `user:${caller.viewer.userId}`;
  /** Of two standings of one quota, the worse. */
  const standings = new Map<Quota, Standing>();
  let taken = 0;
  let refusal: RateLimited | null = null;

  async function take(points: number, attempts: readonly Charge[] = []): Promise<void> {
    const charges = [{ quota: api, key: whose, points }, ...attempts].filter((charge) => charge.quota.points > 0 && charge.points > 0);
    if (charges.length === 0) return;
    const answers = (await ledger.charge(charges)).toSorted((one, other) => other.remaining - one.remaining);
    for (const standing of answers) standings.set(standing.quota, standing);
    const [refused] = answers.filter(({ waitMs }) => waitMs > 0).toSorted((one, other) => other.waitMs - one.waitMs);
    if (refused !== undefined) {
      onRefused(refused.quota.name);
      refusal = new RateLimited(REFUSALS[refused.quota.name] ?? refused.quota.name, refused.waitMs);
      throw refusal;
    }
    if (answers.some(({ quota }) => quota === api)) taken += points;
  }

  return {
    admit: () => take(1),
    async charge({ document, operation, points }) {
      const attempts = new Map<Quota, Charge>();
      for (const attempt of attemptsIn(document, operation)) {
        const quota = ledger.quotas[attempt];
        attempts.set(quota, { quota, key: network, points: (attempts.get(quota)?.points ?? 0) + 1 });
      }
      // What costs more than a whole window may run, alone in it, and is settled to what it did use.
      await take(Math.min(points, api.points) - 1, [...attempts.values()]);
    },
    spend: (points) => take(Math.min(points, api.points) - 1),
    settle(points) {
      const standing = standings.get(api);
      const difference = Math.max(1, points) - taken;
      if (standing === undefined || taken === 0 || difference === 0) return;
      taken += difference;
      standings.set(api, { ...standing, remaining: Math.max(0, standing.remaining - difference) });
      ledger.correct({ quota: api, key: whose, points: 0 }, standing.slice, difference);
    },
    fields() {
      const quotas = new Set([...(api.points > 0 ? [api] : []), ...standings.keys()]);
      return { ...rateLimitFields([...quotas], [...standings.values()]), ...refusal?.fields };
    },
  };
}
