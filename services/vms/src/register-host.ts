import { isIPv4 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { requirePermission, type Viewer } from '@novacron/contracts';
import { checkName, checkText, DomainError } from '@novacron/core';
import { InvalidRequest, parseUri, Unsupported, type LibvirtAddress } from '@novacron/libvirt';
import type { Database, HostRow } from './database.ts';
import type { Prisma } from './generated/prisma/client.ts';
import { checkLabel } from './rules.ts';
import { insertHost } from './store/hosts.ts';

export interface RegisterHostInput {
  name: string;
  uri: string;
  migrationUri?: string | null | undefined;
  overlayAddress?: string | null | undefined;
  labels?: unknown;
}

const LABELS_MOST = 64;
const LIMITS = { uri: 1_024 } as const;

/** The drivers that NovaCron knows, with what it may open of each: other paths have libvirt read files (https://libvirt.org/drvtest.html). */
const DRIVERS: Readonly<Record<string, readonly string[]>> = { qemu: ['/system', '/session'], test: ['/default'] };
/** Of what may stand behind the question mark: the rest is for other clients, or does more than reach a hypervisor. */
const PARAMETERS = new Set(['socket', 'keyfile']);
const EXAMPLES = 'qemu:///system, qemu+unix:///system?socket=/path, qemu+tls://host/system, qemu+ssh://user@host/system or qemu+tcp://host/system';

/** The URI's parts, if NovaCron can reach such a host; else BAD_USER_INPUT. */
function checkUri(uri: string, field: 'uri' | 'migrationUri'): { driver: string; transport: LibvirtAddress['transport'] } {
  checkText(uri, field, LIMITS.uri);
  const refuse = (message: string, cause?: unknown): never => {
    throw new DomainError('BAD_USER_INPUT', message, { field, cause });
  };
  let address: LibvirtAddress;
  try {
    address = parseUri(uri);
  } catch (error) {
    const reason = error instanceof Unsupported || error instanceof InvalidRequest ? error.message : '';
    return refuse(`${reason} NovaCron reaches ${EXAMPLES}.`.trim(), error);
  }
  const odd = [...(URL.parse(uri)?.searchParams.keys() ?? [])].find((name) => !PARAMETERS.has(name));
  if (odd !== undefined) return refuse(`Of parameters, a URI here has only ${[...PARAMETERS].join(' and ')}.`);
  const { protocol, pathname } = URL.parse(address.driverUri) ?? { protocol: '', pathname: '' };
  const driver = protocol.replace(':', '');
  return DRIVERS[driver]?.includes(pathname) === true ? { driver, transport: address.transport } : refuse(`This is no hypervisor that NovaCron knows: it reaches ${EXAMPLES}.`);
}

/** The hypervisor's kind, from the URI's driver. */
const driverOf = (uri: string): string => checkUri(uri, 'uri').driver.toUpperCase();

function checkMigrationUri(uri: string): string {
  if (checkUri(uri, 'migrationUri').transport !== 'unix') return uri;
  throw new DomainError('BAD_USER_INPUT', 'Other hosts reach this one over the network: qemu+tls://host/system, qemu+ssh://host/system or qemu+tcp://host/system.', {
    field: 'migrationUri',
  });
}

/** Is what a migration to this host sends encrypted? Only TLS covers memory and disks; null when nothing can be sent. */
export const isMigrationEncrypted = (migrationUri: string | null): boolean | null => (migrationUri === null ? null : parseUri(migrationUri).transport === 'tls');

/** Unless told, overlays run over the network that migrations do. */
function overlayAddressOf(migrationUri: string | null | undefined): string | null {
  const name = URL.parse(migrationUri ?? '')?.hostname ?? '';
  return isIPv4(name) ? name : null;
}

function checkOverlayAddress(address: string): string {
  if (isIPv4(address)) return address;
  throw new DomainError('BAD_USER_INPUT', 'An overlay address is an IPv4 address.', { field: 'overlayAddress' });
}

function checkLabels(labels: unknown): Prisma.InputJsonObject {
  const bad = (message: string) => new DomainError('BAD_USER_INPUT', message, { field: 'labels' });
  if (labels == null) return {};
  if (typeof labels !== 'object' || Array.isArray(labels)) throw bad('Labels are an object: { "zone": "a" }.');
  const entries = Object.entries(labels);
  if (entries.length > LABELS_MOST) throw bad(`A host has at most ${LABELS_MOST} labels.`);
  for (const [key, value] of entries) checkLabel(key, value, 'labels');
  return Object.fromEntries(entries) as Prisma.InputJsonObject; // plain values, as just checked
}

/** Answers at once; the host is OFFLINE until its agent has seen it. */
export function registerHost(database: Database, viewer: Viewer | null, input: RegisterHostInput): Promise<HostRow> {
  requirePermission(viewer, 'host:register');
  return insertHost(database, {
    name: checkName(input.name),
    uri: input.uri,
    migrationUri: input.migrationUri == null ? null : checkMigrationUri(input.migrationUri),
    overlayAddress: input.overlayAddress == null ? overlayAddressOf(input.migrationUri) : checkOverlayAddress(input.overlayAddress),
    labels: checkLabels(input.labels),
    hypervisorType: driverOf(input.uri),
  });
}

/**
 * This machine, at the first start; at later ones it is there. Another data directory's NovaCron may have left its host
 * under the same name: this one then gets a number.
 */
export async function insertLocalHost(database: Database, name: string, uri: string): Promise<void> {
  const hypervisorType = driverOf(uri);
  for (let number = 1; ; number += 1) {
    if (await database.host.findUnique({ where: { uri }, select: { id: true } })) return;
    try {
      await insertHost(database, { name: number === 1 ? name : `${name.slice(0, 59)}-${number}`, uri, migrationUri: null, overlayAddress: null, labels: {}, hypervisorType });
      return;
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'ALREADY_EXISTS' || number === 100) throw error;
    }
  }
}

const SEEN_MS = 20_000;
const LOOK_MS = 50;

/** Resolves when the host is no longer offline, or when that took too long to go on waiting: it may still come. */
export async function waitUntilSeen(database: Database, uri: string): Promise<void> {
  for (const startedAt = performance.now(); performance.now() - startedAt < SEEN_MS; await delay(LOOK_MS)) {
    const host = await database.host.findUnique({ where: { uri }, select: { state: true } });
    if (host?.state !== 'OFFLINE') return;
  }
}
