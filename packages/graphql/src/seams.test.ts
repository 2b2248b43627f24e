import { printSubgraphSchema } from '@apollo/subgraph';
import type { RequestContext } from '@novacron/contracts';
import { expect, it } from 'vitest';
import { createBuilder, entityStub, toSubgraphSchema } from './builder.ts';

it('promises nothing for another service', () => {
  const builder = createBuilder<RequestContext>();
  const Host = entityStub(builder, 'Host', 'A host.');
  const Disk = builder.objectRef<{ id: string }>('Disk').implement({
    fields: (t) => ({
      id: t.exposeID('id'),
      host: t.field({ type: Host, resolve: ({ id }) => ({ id }) }),
      seenBy: t.field({ type: [Host], resolve: () => [] }),
      reserve: t.field({ type: [Host], nullable: { list: true, items: false }, resolve: () => [] }),
    }),
  });
  builder.asEntity(Disk, { key: builder.selection<{ id: string }>('id'), resolveReference: ({ id }) => ({ id }) });
  const Vm = builder.externalRef('Vm', builder.selection<{ id: string }>('id')).implement({
    externalFields: (t) => ({ id: t.id() }),
    fields: (t) => ({ disks: t.field({ type: [Disk], resolve: () => [] }) }),
  });
  builder.objectField(Vm, 'size', (t) => t.int({ resolve: () => 0 }));
  builder.queryType({ fields: (t) => ({ disks: t.field({ type: [Disk], resolve: () => [] }) }) });
  builder.mutationType({ fields: (t) => ({ makeDisk: t.field({ type: Disk, resolve: () => ({ id: '1' }) }) }) });
  const sdl = printSubgraphSchema(toSubgraphSchema(builder));
  const fields = [...sdl.matchAll(/^ {2}(\w+: .+?)(?: @.*)?$/gm)].map(([, field]) => field);
  expect(fields).toEqual([
    'id: ID!',
    'host: Host',
    'seenBy: [Host]!',
    'reserve: [Host]',
    'id: ID!',
    'makeDisk: Disk',
    'disks: [Disk!]',
    'id: ID!',
    'disks: [Disk!]',
    'size: Int',
  ]);
});
