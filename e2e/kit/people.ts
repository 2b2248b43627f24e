import type { Graph, SignedIn } from './client.ts';

/** Users of every role in the tenant `acme`, and the administrator of another one. */
export interface People {
  acme: string;
  globex: string;
  platformAdmin: SignedIn;
  tenantAdmin: SignedIn;
  operator: SignedIn;
  viewer: SignedIn;
  auditor: SignedIn;
  /** tenant_admin of globex: nothing of acme's is there for it. */
  stranger: SignedIn;
  /** Has registered: it is in no tenant. */
  newcomer: SignedIn;
}

export const ADMIN = { email: 'admin@novacron.test', password: 'correct horse battery' } as const;
const PASSWORD = 'a password for tests';

/** Makes them as a newcomer would: the administrator makes tenants and users, and each signs in. */
export async function makePeople(graph: Graph): Promise<People> {
  const platformAdmin = await graph.login(ADMIN.email, ADMIN.password);
  const admin = graph.as(platformAdmin);
  const tenant = async (name: string): Promise<string> =>
    (await admin.run('mutation ($name: String!) { createTenant(input: { name: $name }) { id } }', { name }))['createTenant'].id;
  const [acme, globex] = [await tenant('acme'), await tenant('globex')];
  const user = async (name: string, role: string, tenantId: string): Promise<SignedIn> => {
    const email = `${name}@novacron.test`;
    await admin.run('mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }', { input: { email, name, password: PASSWORD, tenantId, role } });
    return graph.login(email, PASSWORD);
  };
  const newcomer = async (name: string): Promise<SignedIn> => {
    const email = `${name}@novacron.test`;
    await graph.run('mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }', { input: { email, name, password: PASSWORD } });
    return graph.login(email, PASSWORD);
  };
  // one after the other: on a busy machine a queue of passwords grows long enough to be refused
  const tenantAdmin = await user('alice', 'tenant_admin', acme);
  const operator = await user('otto', 'operator', acme);
  const viewer = await user('vera', 'viewer', acme);
  const auditor = await user('audrey', 'auditor', acme);
  const stranger = await user('greta', 'tenant_admin', globex);
  const nadia = await newcomer('nadia');
  return { acme, globex, platformAdmin, tenantAdmin, operator, viewer, auditor, stranger, newcomer: nadia };
}
