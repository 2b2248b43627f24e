import { accounts } from './accounts.ts';
import { administration } from './administration.ts';
import { audit } from './audit.ts';
import type { Cases, EntityCase, FieldCase, RootCase } from './cases.ts';
import { identity } from './identity.ts';
import { machines } from './machines.ts';
import { migration } from './migration.ts';
import { network } from './network.ts';
import { people } from './people.ts';
import { secondFactor } from './second-factor.ts';
import { sessions } from './sessions.ts';
import { storage } from './storage.ts';
import { monitoring, operations, vms } from './vms.ts';

const SUBGRAPHS: Record<string, Cases> = { accounts, administration, audit, identity, people, secondFactor, sessions, machines, vms, storage, network, migration, operations, monitoring };

export const ROOT_CASES: Record<string, RootCase> = Object.assign({}, ...Object.values(SUBGRAPHS).map(({ roots }) => roots));

/** By `<subgraph>.<type>`. */
export const ENTITY_CASES: Record<string, EntityCase> = Object.fromEntries(
  Object.entries(SUBGRAPHS).flatMap(([name, { entities }]) => Object.entries(entities).map(([type, one]) => [`${name}.${type}`, one])),
);

export const FIELD_CASES: Record<string, FieldCase> = Object.assign({}, ...Object.values(SUBGRAPHS).map(({ fields }) => fields));
