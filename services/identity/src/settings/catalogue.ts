import { ROLES } from '@novacron/contracts';
import { z } from 'zod';

interface Setting<Schema extends z.ZodType> {
  schema: Schema;
  otherwise: z.infer<Schema>;
  /** What it does, for the graph and the manual. */
  description: string;
}

const setting = <Schema extends z.ZodType>(schema: Schema, otherwise: z.infer<Schema>, description: string): Setting<Schema> => ({ schema, otherwise, description });

const isSet = (list: readonly unknown[]): boolean => new Set(list).size === list.length;

/** What administrators may change while it runs. What needs a restart is an environment variable instead. */
export const SETTINGS = {
  'registration.open': setting(z.boolean(), true, 'May people register themselves? They are in no tenant until an administrator takes them in.'),
  'signIn.verifiedOnly': setting(z.boolean(), false, 'Is signing in refused until the address is verified?'),
  'secondFactor.roles': setting(
    z.array(z.enum(ROLES)).refine(isSet, { error: 'Name each role once.' }),
    [],
    'Roles that need a second factor in every tenant, whatever the tenant says.',
  ),
} as const satisfies Record<string, Setting<z.ZodType>>;

export type SettingName = keyof typeof SETTINGS;
export type SettingValue<Name extends SettingName> = z.infer<(typeof SETTINGS)[Name]['schema']>;

export const isSettingName = (name: string): name is SettingName => Object.hasOwn(SETTINGS, name);
