import { Prisma } from '../generated/prisma/client.ts';
import type { SettingName } from '../settings/catalogue.ts';

const DEMANDED_EVERYWHERE: SettingName = 'secondFactor.roles';

/** Does a role need a second factor, by its tenant or everywhere? In a query that calls the role assignment r and its tenant t. */
export const IS_DEMANDED = Prisma.sql`(coalesce(r.role = ANY (t.second_factor_roles), false)
  OR coalesce((SELECT value ? r.role::text FROM settings WHERE name = ${DEMANDED_EVERYWHERE}), false))`;
