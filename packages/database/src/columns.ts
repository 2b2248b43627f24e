import { raw, type Sql } from '@prisma/client/runtime/client';

/** Every column of a table under its field's name, for raw SQL that Prisma has no words for (FOR UPDATE). Each schema maps its fields to snake case. */
export const columnsOf = (fields: Readonly<Record<string, string>>): Sql =>
  raw(
    Object.values(fields)
      .map((field) => `${field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)} AS "${field}"`)
      .join(', '),
  );
