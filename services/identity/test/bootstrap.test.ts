import { afterEach, describe, expect, it } from 'vitest';
import { ADMIN, login, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
afterEach(() => identity?.close());

describe('bootstrap', () => {
  it('makes the tenant default, without quota, and its administrator, once', async () => {
    identity = await startIdentity();
    expect(await identity.service.bootstrap()).toEqual({ ...ADMIN, generated: false });
    expect(await identity.service.bootstrap()).toBeNull();
    const { viewer } = await login(identity);
    const { data } = await identity.ask(
      viewer,
      '{ me { email name roles { role tenant { name quota { vms vcpus memory } usage { vms vcpus memory } } } } tenants { totalCount } users { totalCount } }',
    );
    expect(data).toEqual({
      me: {
        email: ADMIN.email,
        name: 'Administrator',
        roles: [
          {
            role: 'platform_admin',
            tenant: { name: 'default', quota: { vms: null, vcpus: null, memory: null }, usage: { vms: 0, vcpus: 0, memory: 0 } },
          },
        ],
      },
      tenants: { totalCount: 1 },
      users: { totalCount: 1 },
    });
  });

  it('makes up a password where none is given', async () => {
    identity = await startIdentity({ bootstrap: { email: 'Root@Example.org' } });
    const made = await identity.service.bootstrap();
    expect(made).toMatchObject({ email: 'root@example.org', generated: true, password: expect.stringMatching(/^[\w-]{20}$/) });
    await login(identity, made!); // made just now
  });

  it('is done by one of several processes', async () => {
    identity = await startIdentity({ bootstrap: { email: ADMIN.email } });
    const processes = [identity.service, identity.another(), identity.another(), identity.another()];
    const made = (await Promise.all(processes.map((one) => one.bootstrap()))).filter((administrator) => administrator !== null);
    expect(made).toHaveLength(1);
    expect(await identity.sql('SELECT u.id FROM identity.users u, identity.tenants t')).toHaveLength(1);
    await login(identity, made[0]!); // its length was looked at
  });

  it.each([
    ['address', 'email', { email: 'nobody' }],
    ['password', 'password', { email: ADMIN.email, password: 'short' }],
  ])('refuses what is no %s and makes nothing', async (_what, field, bootstrap) => {
    identity = await startIdentity({ bootstrap });
    await expect(identity.service.bootstrap()).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field });
    expect(await identity.sql('SELECT 1 FROM identity.tenants')).toEqual([]);
  });
});
