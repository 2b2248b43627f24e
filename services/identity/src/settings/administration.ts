import { requirePermission, ROLES, type Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { byIdDescending, parsePage, toConnection, type Connection, type PageArguments } from '@novacron/graphql';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import type { Database, Transaction } from '../store/database.ts';
import { announceHolders } from '../store/second-factors.ts';
import { changeSetting, type StoredValue } from '../store/settings.ts';
import { isSettingName, SETTINGS, type SettingName } from './catalogue.ts';

export interface SettingRecord {
  name: SettingName;
  value: unknown;
  /** Null: nobody has changed it. */
  changedAt: Date | null;
  changedBy: string | null;
}

export interface SettingChangeRecord {
  id: string;
  name: string;
  before: unknown;
  after: unknown;
  at: Date;
  by: string;
}

/** What administrators see of the settings, and change. */
export interface SettingsAdministration {
  /** Every setting there is, by name. Errors: FORBIDDEN. */
  list(viewer: Viewer | null): Promise<SettingRecord[]>;
  /** Who has changed what, the newest first. Errors: FORBIDDEN, NOT_FOUND (the setting), BAD_USER_INPUT (the page). */
  changes(viewer: Viewer | null, args: PageArguments & { name?: string | null | undefined }): Promise<Connection<SettingChangeRecord>>;
  /** It holds at once, everywhere; null: its default again. Idempotent. Errors: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT (value). */
  update(asker: Asker, input: { name: string; value: unknown }): Promise<SettingRecord>;
}

const NAMES = Object.keys(SETTINGS).filter(isSettingName).toSorted();

function parseSettingName(text: string): SettingName {
  if (!isSettingName(text)) throw new DomainError('NOT_FOUND', `There is no such setting: choose one of ${NAMES.join(', ')}.`, { field: 'name' });
  return text;
}

function parseValue(name: SettingName, value: unknown): StoredValue {
  const parsed = SETTINGS[name].schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? '' : ` (at ${issue.path.join('.')})`;
  throw new DomainError('BAD_USER_INPUT', `${issue?.message ?? 'This value is none of this setting'}${place}`, { field: 'value' });
}

export function createSettingsAdministration({ db, now, logger }: { db: Database; now: () => Date; logger: Logger }): SettingsAdministration {
  const record = (name: SettingName, row: { value: unknown; changedAt: Date; changedBy: string } | undefined): SettingRecord => {
    const parsed = SETTINGS[name].schema.safeParse(row?.value);
    return { name, value: parsed.success ? parsed.data : SETTINGS[name].otherwise, changedAt: row?.changedAt ?? null, changedBy: row?.changedBy ?? null };
  };
  const rows = (names: SettingName[]) => db.setting.findMany({ where: { name: { in: names } } });

  return {
    async list(viewer) {
      requirePermission(viewer, 'settings:read');
      const stored = new Map((await rows(NAMES)).map((row) => [row.name, row]));
      return NAMES.map((name) => record(name, stored.get(name)));
    },

    async changes(viewer, args) {
      requirePermission(viewer, 'settings:read');
      const page = parsePage(args);
      const range = byIdDescending(page);
      const where = args.name == null ? {} : { name: parseSettingName(args.name) };
      const found = await db.settingChange.findMany({ ...range, where: { AND: [where, range.where] } });
      return toConnection(found, page, ({ id }) => [id], () => db.settingChange.count({ where }));
    },

    async update({ viewer, requestId }, input) {
      const { userId: by } = requirePermission(viewer, 'settings:update');
      const name = parseSettingName(input.name);
      const value = input.value == null ? null : parseValue(name, input.value);
      const changed = await changeSetting(db, { name, value, by, at: now() }, async (tx, before) => {
        if (name === 'secondFactor.roles') await announceDemand(tx, before, value);
      });
      if (changed) logger.info({ requestId, by, setting: name, value }, 'setting changed');
      const [row] = await rows([name]);
      return record(name, row);
    },
  };
}

/** Whoever holds a role of which a second factor is demanded now, or no longer is, may do something else from now on. */
async function announceDemand(tx: Transaction, before: unknown, after: unknown): Promise<void> {
  const names = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
  const changed = ROLES.filter((role) => names(before).includes(role) !== names(after).includes(role));
  await announceHolders(tx, changed);
}
