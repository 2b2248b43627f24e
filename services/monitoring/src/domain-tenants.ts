import { DOMAIN_METADATA_URI, domainName } from '@novacron/contracts';
import { isId, type TenantId } from '@novacron/core';
import { LibvirtError, type Connection, type DomainRef } from '@novacron/libvirt';

/** A domain that NovaCron made, by its name; its UUID is the VM's id. */
export const isOurs = (domain: DomainRef): boolean => domain.name === domainName(domain.uuid);

/** `<nc:vm xmlns:nc="urn:novacron:domain:1" tenant="..."/>`, as libvirt prints it; null when it names no tenant. */
export function parseTenant(metadata: string): TenantId | null {
  const tenant = /\stenant=(["'])(.*?)\1/.exec(metadata)?.[2];
  return tenant !== undefined && isId(tenant) ? (tenant.toLowerCase() as TenantId) : null; // a brand exists only for the compiler
}

/** Whose each domain is, asked of libvirt once per domain: a VM never changes its tenant. */
export class DomainTenants {
  readonly #known = new Map<string, TenantId>();

  /** The tenants of these domains by UUID, without those that name none; forgets all other domains. */
  async of(connection: Connection, domains: readonly DomainRef[], deadlineMs: number): Promise<ReadonlyMap<string, TenantId>> {
    const present = new Set(domains.map(({ uuid }) => uuid));
    for (const uuid of this.#known.keys()) if (!present.has(uuid)) this.#known.delete(uuid);
    const unknown = domains.filter(({ uuid }) => !this.#known.has(uuid));
    await Promise.all(unknown.map((domain) => this.#learn(connection, domain, deadlineMs)));
    return this.#known;
  }

  async #learn(connection: Connection, domain: DomainRef, deadlineMs: number): Promise<void> {
    try {
      const slot = { type: 'element', uri: DOMAIN_METADATA_URI } as const;
      const tenant = parseTenant(await connection.domains.metadata(domain, slot, 0, { deadlineMs }));
      if (tenant !== null) this.#known.set(domain.uuid, tenant);
    } catch (error) {
      // gone since the round began, or not one of ours in spite of its name
      if (error instanceof LibvirtError && (error.is('NO_DOMAIN') || error.is('NO_DOMAIN_METADATA'))) return;
      throw error;
    }
  }
}
