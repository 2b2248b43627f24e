import type { Database, Transaction } from '../store/database.ts';
import { SETTINGS, type SettingName, type SettingValue } from './catalogue.ts';

/** What holds now: what an administrator has set, else the default. A stored value that is none (any more) counts for nothing. */
export async function readSetting<Name extends SettingName>(sql: Database | Transaction, name: Name): Promise<SettingValue<Name>> {
  const { schema, otherwise } = SETTINGS[name];
  const row = await sql.setting.findUnique({ where: { name }, select: { value: true } });
  const parsed = schema.safeParse(row?.value);
  return (parsed.success ? parsed.data : otherwise) as SettingValue<Name>; // the schema of that name
}
