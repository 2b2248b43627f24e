import { checkText, isId } from '@novacron/core';

/** Prisma's conditions for what the filter of a list says. */

/** Characters of a text to look for. */
const MOST = 255;

/** Has this text in it, whatever its case. Prisma hands a text on to LIKE as it is; here it stands for itself. BAD_USER_INPUT (filter.search). */
export const containing = (text: string) => ({
  contains: checkText(text, 'filter.search', MOST).replaceAll(/[\\%_]/g, String.raw`\$&`),
  mode: 'insensitive' as const,
});

/** Is this id. What is none names nothing: PostgreSQL would refuse the query. */
export const equalsId = (id: string): { in: string[] } => ({ in: isId(id) ? [id] : [] });
