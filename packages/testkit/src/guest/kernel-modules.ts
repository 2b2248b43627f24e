import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/**
 * The files of the named modules and of all that they need, in an order in which each can be inserted.
 * A module that this kernel lacks is built in, or absent: left out. Read from the files themselves, as
 * an unpacked kernel package has no modules.dep.
 * Source: Linux, scripts/mod/modpost.c: the section .modinfo holds "depends=a,b" between zero bytes.
 */
export function moduleOrder(directory: string, names: readonly string[]): string[] {
  const files = new Map(
    readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ko'))
      .map((file) => [moduleName(file), join(directory, file)]),
  );
  const order: string[] = [];
  const add = (name: string): void => {
    const file = files.get(name);
    if (file === undefined || order.includes(file)) return;
    needs(file).forEach(add);
    order.push(file);
  };
  names.forEach(add);
  return order;
}

/** The kernel takes '-' and '_' in a module's name for the same. */
const moduleName = (file: string): string => basename(file, '.ko').replaceAll('-', '_');

function needs(file: string): string[] {
  const depends = /\0depends=([^\0]*)\0/.exec(readFileSync(file, 'latin1'))?.[1];
  return depends ? depends.split(',').map((name) => name.replaceAll('-', '_')) : [];
}
