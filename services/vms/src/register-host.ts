import { setTimeout as delay } from 'node:timers/promises';
import { requirePermission, type Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { parseUri, Unsupported } from '@novacron/libvirt';
import type { Database, HostRow } from './database.ts';
import type { Prisma } from './generated/prisma/client.ts';
import { checkLabel, checkName, checkText } from './rules.ts';
import { insertHost } from './store/hosts.ts';

export interface RegisterHostInput {
  name: string;
  uri: string;
  migrationUri?: string | null | undefined;
  labels?: unknown;
}

const LABELS_MOST = 64;
const LIMITS = { uri: 1_024 } as const;

/**
 * What an agent, which may be root, opens. Other drivers and paths have libvirt read files, or do more than reach a
 * hypervisor (https://libvirt.org/drvtest.html). The test driver's one host is for trying things at scale.
 */
const DRIVERS: Readonly<Record<string, readonly string[]>> = { qemu: ['/system', '/session'], test: ['/default'] };
/** `host` is for telling machines apart that are all reached by the same path; libvirt passes over it. */
const PARAMETERS = new Set(['host']);

/** The hypervisor's kind, from the URI's driver; BAD_USER_INPUT when NovaCron can't reach such a host. */
function driverOf(uri: string): string {
  checkText(uri, 'uri', LIMITS.uri);
  const refuse = (cause: unknown): never => {
    const message =
      cause instanceof Unsupported
        ? cause.message
        : 'This is no libvirt URI that NovaCron can reach: qemu:///system, or qemu+unix:///system?socket=/path.';
    throw new DomainError('BAD_USER_INPUT', message, { field: 'uri', cause });
  };
  try {
    const { protocol, pathname, searchParams } = new URL(parseUri(uri).driverUri);
    const driver = protocol.replace(':', '');
    const isKnown = DRIVERS[driver]?.includes(pathname) && [...searchParams.keys()].every((name) => PARAMETERS.has(name));
    return isKnown ? driver.toUpperCase() : refuse(null);
  } catch (error) {
    return error instanceof DomainError ? refuse(error.cause) : refuse(error);
  }
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
    migrationUri: input.migrationUri == null ? null : checkText(input.migrationUri, 'migrationUri', LIMITS.uri),
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
      await insertHost(database, { name: number === 1 ? name : `${name.slice(0, 59)}-${number}`, uri, migrationUri: null, labels: {}, hypervisorType });
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
