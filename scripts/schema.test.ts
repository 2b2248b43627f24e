import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, visit, type ASTNode, type NameNode, type StringValueNode } from 'graphql';
import { expect, it } from 'vitest';
import { root } from './checks.ts';

type Definition = ASTNode & { name: NameNode; description?: StringValueNode };

/** Of a type, a field, an argument, a value: whatever has a name and can have a description. */
const isDefinition = (node: ASTNode): node is Definition => node.kind.endsWith('Definition') && 'name' in node && node.name !== undefined;

/** Where each definition without a description stands: "type.field.argument". */
function unexplained(sdl: string): string[] {
  const silent: string[] = [];
  const path: string[] = [];
  visit(parse(sdl), {
    DirectiveDefinition: () => false, // Federation's own
    enter(node) {
      if (!isDefinition(node)) return;
      path.push(node.name.value);
      if (!node.description?.value) silent.push(path.join('.'));
    },
    leave(node) {
      if (isDefinition(node)) path.pop();
    },
  });
  return silent;
}

// that they are what the code says, and fit together, is checked by scripts/schema.ts
it.each(globSync(['services/*/schema.graphql', 'gateway/schema.graphql'], { cwd: root }))('%s explains everything', (file) => {
  expect(unexplained(readFileSync(join(root, file), 'utf8'))).toEqual([]);
});
