import { createHash, randomBytes } from 'node:crypto';
import { newId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import type { Graph, Loose } from '../kit/client.ts';
import type { Embedded } from '../kit/embedded.ts';
import { awaitedImage } from '../kit/image.ts';
import { ADMIN, type People } from '../kit/people.ts';
import { createVm, haveVm, Operation, type Vm } from '../kit/vm.ts';
import { migrate } from '../migration/moves.ts';
import { attachNic, createGroup, createNetwork, networkName, nicsOf } from '../network/network.ts';
import { createPool, haveVolume, localPools, type Volume } from '../storage/storage.ts';
import type { Subject } from './cases.ts';

let made = 0;
const newName = (): string => `fixture-${(made += 1)}`;

/** A public key of SSH that nobody has. */
export function newPublicKey(): string {
  const string = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  return `ssh-ed25519 ${Buffer.concat([string(Buffer.from('ssh-ed25519')), string(randomBytes(32))]).toString('base64')}`;
}

/** Makes objects of the tenant acme, as an administrator of the platform. */
export class Fixtures {
  readonly system: Embedded;
  readonly people: People;
  readonly admin: Graph;
  /** What VMs are made on, and migrated to. */
  readonly #hosts: readonly string[];
  readonly #poolId: string;
  #spareVm: Promise<Vm> | null = null;

  private constructor(system: Embedded, people: People, hosts: readonly string[], poolId: string) {
    this.system = system;
    this.people = people;
    this.admin = system.graph.as(people.platformAdmin);
    this.#hosts = hosts;
    this.#poolId = poolId;
  }

  /** Takes both hosts into the fleet, and waits until they have what VMs need. */
  static async open(system: Embedded, people: People): Promise<Fixtures> {
    const admin = system.graph.as(people.platformAdmin);
    const hosts = await Promise.all(system.hosts.map((host) => system.registerHost(admin, host)));
    const poolId = await eventually(
      'pools and the default network on every host',
      async () => {
        const ready = "SELECT count(*)::int AS count FROM network.network_host WHERE state = 'READY'";
        const [pools, [networks]] = [await localPools(system), await system.sql(ready)];
        return pools.size === hosts.length && networks?.['count'] === hosts.length && pools.get(hosts[0] ?? '');
      },
      { timeoutMs: 30_000 },
    );
    return new Fixtures(system, people, hosts, poolId);
  }

  /** What the cases are about, and its VM, which runs. */
  async subject(): Promise<{ subject: Subject; vm: Vm }> {
    const { admin, system, people } = this;
    const { acme: tenantId } = people;
    const changes = await admin.subscribe('subscription { vmChanged { cursor } }');
    const [bystander, attached, volume, networkId, securityGroupId, imageId, moved] = await Promise.all([
      admin.run('mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }', {
        input: { email: 'bob@novacron.test', name: 'bob', password: 'a password for tests', tenantId, role: 'viewer' },
      }),
      this.volume(),
      this.volume(),
      this.network(),
      this.securityGroup(),
      this.image(),
      this.stoppedVm(),
    ]);
    const cursor = (await changes.until('any change', () => true)).extensions.cursor ?? '';
    await changes.close();
    const [migrationId, snapshotId, { vm, operation }] = await Promise.all([
      this.#move(moved),
      this.snapshot(volume.id),
      createVm(admin, system.guest, { tenantId, placement: { hostId: this.#hosts[0] }, volumes: [attached.id] }),
    ]);
    await operation.succeeds();
    const subject = {
      ...{ tenantId, networkId, securityGroupId, imageId, migrationId, snapshotId, cursor },
      userId: bystander['createUser'].id,
      hostId: this.#hosts[0] ?? '',
      otherHostId: this.#hosts[1] ?? '',
      vmId: vm.id,
      nicId: (await nicsOf(admin, vm.id))[0]?.['id'],
      movedVmId: moved.id,
      operationId: operation.id,
      poolId: this.#poolId,
      volumeId: volume.id,
      attachedVolumeId: attached.id,
      kernel: system.guest.kernel,
      sessionId: await this.session(),
      ...(await this.apiToken()),
      sshKeyId: await this.sshKey(),
      refreshToken: await this.refreshToken(),
      mailToken: '',
      mailId: '',
      credentials: ADMIN,
      unique: newName(),
    };
    return { subject, vm };
  }

  /** All that a refused request could have changed: what there is, and how the subject stands. */
  async seen({ vmId, volumeId, attachedVolumeId, imageId, migrationId, hostId, otherHostId, userId, tenantId }: Subject): Promise<Loose> {
    const counted = ['operations', 'vms', 'hosts', 'volumes', 'images', 'storagePools', 'networks', 'migrations', 'users', 'tenants'];
    return this.admin.run(
      `query ($vm: ID!, $volume: ID!, $attached: ID!, $image: ID!, $migration: ID!, $host: ID!, $other: ID!, $user: ID!, $tenant: ID!) {
        ${counted.map((field) => `${field} { totalCount }`).join('\n')}
        securityGroups { edges { node { id name generation } } }
        vm(id: $vm) { name generation desiredState nics { id securityGroups { id } } volumes { id } }
        volume(id: $volume) { generation state snapshots { id state } }
        attached: volume(id: $attached) { generation state }
        image(id: $image) { generation state }
        migration(id: $migration) { generation state }
        host(id: $host) { state }
        other: host(id: $other) { state }
        user(id: $user) { roles { role } }
        tenant(id: $tenant) { name quota { vms } }
      }`,
      { vm: vmId, volume: volumeId, attached: attachedVolumeId, image: imageId, migration: migrationId, host: hostId, other: otherHostId, user: userId, tenant: tenantId },
    );
  }

  image = (): Promise<string> => awaitedImage(this.admin, this.people.acme);
  network = async (): Promise<string> => (await createNetwork(this.admin, { name: newName(), tenantId: this.people.acme }))['id'];
  securityGroup = (): Promise<string> => createGroup(this.admin, { name: newName(), tenantId: this.people.acme });
  volume = (): Promise<Volume> => haveVolume(this.admin, { name: newName(), tenantId: this.people.acme, poolId: this.#poolId });
  /** Of the user that the cases are about. */
  session = async (): Promise<string> => {
    const user = this.system.graph.as(await this.system.graph.login('bob@novacron.test', 'a password for tests'));
    const { me } = await user.run('{ me { sessions { id current } } }');
    return me.sessions.find(({ current }: Loose) => current).id;
  };
  /** Of a service account of its own. */
  async apiToken(): Promise<{ serviceAccountId: string; apiTokenId: string }> {
    const { createServiceAccount: account } = await this.admin.run('mutation ($input: CreateServiceAccountInput!) { createServiceAccount(input: $input) { id } }', {
      input: { name: newName(), tenantId: this.people.acme, role: 'viewer' },
    });
    const { createApiToken } = await this.admin.run('mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token { id } } }', {
      input: { name: newName(), scopes: ['vm:read'], userId: account.id, password: ADMIN.password },
    });
    return { serviceAccountId: account.id, apiTokenId: createApiToken.token.id };
  }
  async sshKey(): Promise<string> {
    const { addSshKey } = await this.admin.run('mutation ($input: AddSshKeyInput!) { addSshKey(input: $input) { id } }', { input: { publicKey: newPublicKey() } });
    return addSshKey.id;
  }
  refreshToken = async (): Promise<string> => (await this.system.graph.login(ADMIN.email, ADMIN.password)).refreshToken;

  /** A member of the tenant whom nobody else needs. */
  async member(): Promise<string> {
    const name = newName();
    const input = { email: `${name}@novacron.test`, name, password: 'a password for tests', tenantId: this.people.acme, role: 'viewer' };
    return (await this.admin.run('mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }', { input }))['createUser'].id;
  }

  async deactivatedMember(): Promise<string> {
    const id = await this.member();
    await this.admin.run('mutation ($id: ID!) { deactivateUser(id: $id) { id } }', { id });
    return id;
  }

  /** Of a link that was mailed to somebody who has just registered. */
  async mailToken(purpose: 'verify_email' | 'reset_password'): Promise<string> {
    const [email, token] = [`${newName()}@novacron.test`, randomBytes(32).toString('base64url')];
    const { register } = await this.system.graph.run('mutation ($input: RegisterInput!) { register(input: $input) { user { id } } }', {
      input: { email, name: 'newcomer', password: 'a password for tests' },
    });
    await this.system.sql(
      `INSERT INTO identity.mail_tokens (id, user_id, purpose, token_hash, email, created_at, expires_at)
       VALUES ($1, $2, $3::identity.mail_token_purpose, $4, $5, now(), now() + interval '1 hour')`,
      [newId(), register.user.id, purpose, createHash('sha256').update(token).digest(), email],
    );
    return token;
  }

  /** A mail that was given up: there is no server to take it to. */
  async deadMail(): Promise<string> {
    const id = newId<string>();
    await this.system.sql(
      `INSERT INTO identity.mails (id, kind, recipient, content, key_id, state, attempts, error, created_at)
       VALUES ($1, 'reset_password', 'nobody@novacron.test', '', 'none', 'DEAD', 30, '450 not now', now())`,
      [id],
    );
    return id;
  }

  /** A VM of its own, off, with nothing attached. */
  stoppedVm = (): Promise<Vm> =>
    haveVm(this.admin, this.system.guest, { name: newName(), tenantId: this.people.acme, placement: { hostId: this.#hosts[0] }, networks: [], start: false });

  /** The one VM that volumes and interfaces are attached to by those who may. */
  async spareVm(): Promise<string> {
    return (await (this.#spareVm ??= this.stoppedVm())).id;
  }

  async snapshot(volumeId: string): Promise<string> {
    const name = newName();
    const { snapshotVolume: done } = await this.admin.run('mutation ($id: ID!, $name: String!) { snapshotVolume(id: $id, name: $name) { volume { snapshots { id name } } operation { id } } }', {
      id: volumeId,
      name,
    });
    await new Operation(this.admin, done.operation.id).succeeds();
    return done.volume.snapshots.find((snapshot: Loose) => snapshot['name'] === name).id;
  }

  async attachedVolume(): Promise<string> {
    const [volume, vmId] = [await this.volume(), await this.spareVm()];
    await volume.does((one) => one.attach(vmId));
    return volume.id;
  }

  async nic(networkId: string): Promise<string> {
    return (await attachNic(this.admin, { vmId: await this.spareVm(), networkId }))['id'];
  }

  /** A network that the first host can't bring up again: a bridge that is not libvirt's has its name. */
  async brokenNetwork(): Promise<string> {
    const { admin, system } = this;
    const networkId = await this.network();
    await this.nic(networkId);
    const name = networkName(networkId);
    const problem = async (): Promise<string | null> =>
      (await admin.run('query ($id: ID!) { network(id: $id) { onHosts { problem } } }', { id: networkId }))['network'].onHosts[0]?.problem ?? null;
    await eventually(
      `${name} to be broken`,
      async () => {
        await system.host.exec('sh', '-c', `virsh net-destroy ${name} && ip link add ${name} type bridge || true`); // its agent may be there first
        return (await problem()) !== null;
      },
      { timeoutMs: 20_000 },
    );
    return networkId;
  }

  /** A host that no agent reaches, and that says so. */
  async unreachableHost(): Promise<string> {
    const name = newName();
    const { registerHost } = await this.admin.run('mutation ($input: RegisterHostInput!) { registerHost(input: $input) { id } }', {
      input: { name, uri: `qemu+unix:///system?socket=/run/novacron-test/${name}` },
    });
    const read = () => this.admin.run('query ($id: ID!) { host(id: $id) { problem } }', { id: registerHost.id });
    await eventually(`${name} to have a problem`, async () => (await read())['host'].problem !== null, { timeoutMs: 20_000 });
    return registerHost.id;
  }

  /** An operation on the fleet itself, which is no tenant's. */
  async fleetOperation(): Promise<string> {
    const name = newName();
    const { operation } = await createPool(this.admin, { name, hostIds: [this.#hosts[0]], path: `/var/lib/libvirt/${name}` });
    await operation.succeeds();
    return operation.id;
  }

  /** An operation that stands still, until `thaw`. */
  async operationUnderWay(): Promise<string> {
    await this.#freeze();
    return (await createVm(this.admin, this.system.guest, { tenantId: this.people.acme, placement: { hostId: this.#hosts[0] }, start: false })).operation.id;
  }

  /** A migration that stands still, until `thaw`. */
  async migrationUnderWay(): Promise<string> {
    const vm = await this.stoppedVm();
    await this.#freeze();
    return (await migrate(this.admin, { vmId: vm.id, hostId: this.#hosts[1], mode: 'OFFLINE' })).id;
  }

  /** Lets the first host's libvirt go on. */
  thaw = (): Promise<void> => this.#signalLibvirt('CONT');
  #freeze = (): Promise<void> => this.#signalLibvirt('STOP');

  async #signalLibvirt(signal: 'STOP' | 'CONT'): Promise<void> {
    await this.system.host.exec('sh', '-c', `kill -${signal} $(cat /run/libvirt/libvirtd.pid)`);
  }

  /** Waits until a host is in maintenance, and ends that. */
  async backInService(hostId: string): Promise<void> {
    const read = () => this.admin.run('query ($id: ID!) { host(id: $id) { state drainBlockers { reason } } }', { id: hostId });
    await eventually(
      'the host to be in maintenance',
      async () => {
        const { host } = await read();
        if (host.state !== 'MAINTENANCE') throw new Error(JSON.stringify(host));
        return true;
      },
      { timeoutMs: 30_000 },
    );
    const { setHostMaintenance } = await this.admin.run('mutation ($id: ID!) { setHostMaintenance(id: $id, on: false) { operation { id } } }', { id: hostId });
    await new Operation(this.admin, setHostMaintenance.operation.id).succeeds();
  }

  /** Takes a VM that is off to the other host. */
  async #move(vm: Vm): Promise<string> {
    const move = await migrate(this.admin, { vmId: vm.id, hostId: this.#hosts[1], mode: 'OFFLINE' });
    await move.operation.succeeds();
    return move.id;
  }
}
