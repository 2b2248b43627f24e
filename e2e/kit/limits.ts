import { VARIABLES } from '../../app/src/environment.ts';

/** Tests and measurements sign in, ask and connect from one address as no client does; what limits that is tested by itself. */
export const NO_LIMITS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(VARIABLES)
    .filter((name) => name.startsWith('NOVACRON_LIMIT_'))
    .map((name) => [name, '0']),
);
