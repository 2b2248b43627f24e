import { parseArgs } from 'node:util';
import { LocalError } from '@novacron/local';

export const ROLES = ['gateway', 'identity', 'vms', 'storage', 'network', 'migration', 'monitoring', 'operations', 'agent'] as const;
export type Role = (typeof ROLES)[number];

export interface Arguments {
  help: boolean;
  /** Empty: everything, with what it needs of this machine. */
  roles: readonly Role[];
  /** The one host that the agent role serves; null: every host that has no other agent. */
  host: string | null;
}

export const HELP = `NovaCron: one GraphQL graph over fleets of hypervisor hosts.

  npm start                                everything on this machine, with what it needs:
                                           PostgreSQL, Redis, libvirtd, the gateway, every service
  npm start -- --roles ROLE[,ROLE...]      some of it, for a fleet: ${ROLES.join(', ')}
  npm start -- --roles agent --host NAME   the agent of one registered host
  npm start -- --help                      this

With --roles, DATABASE_URL and REDIS_URL say where PostgreSQL and Redis are; a gateway finds subgraphs that
are not in its process by NOVACRON_IDENTITY_URL, NOVACRON_VMS_URL, NOVACRON_STORAGE_URL, NOVACRON_NETWORK_URL,
NOVACRON_MIGRATION_URL, NOVACRON_MONITORING_URL and NOVACRON_OPERATIONS_URL; and subgraphs without a gateway beside them listen on NOVACRON_SUBGRAPH_PORT.
All variables: see the README or .env.example.

Ctrl-C or SIGTERM stops all that was started and nothing else. Guests keep running.
`;

/** What was asked for. Throws a sentence for the person at the terminal. */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...argv],
    options: { help: { type: 'boolean', short: 'h' }, roles: { type: 'string' }, host: { type: 'string' } },
    strict: true,
  });
  const names = (values.roles ?? '').split(',').filter((name) => name !== '');
  const unknown = names.find((name) => !ROLES.some((role) => role === name));
  if (unknown !== undefined) throw new LocalError(`There is no role "${unknown}". Roles are ${ROLES.join(', ')}.`);
  if (values.roles !== undefined && names.length === 0) throw new LocalError(`--roles names at least one of ${ROLES.join(', ')}.`);
  const roles = ROLES.filter((role) => names.includes(role));
  if (values.host !== undefined && !roles.includes('agent')) throw new LocalError('--host goes with --roles agent.');
  return { help: values.help ?? false, roles, host: values.host ?? null };
}
