import { VARIABLES } from '../../app/src/environment.ts';

const NAMES = Object.keys(VARIABLES).filter((name) => name.startsWith('NOVACRON_LIMIT_'));

/** Tests sign in, ask and connect from one address as no client does; what limits that is tested by itself. */
export const NO_LIMITS: Readonly<Record<string, string>> = Object.fromEntries(NAMES.map((name) => [name, '0']));

/** For measurements: all is counted as for any client, and no limit is ever reached. */
export const UNREACHED_LIMITS: Readonly<Record<string, string>> = Object.fromEntries(NAMES.map((name) => [name, '1000000000']));
