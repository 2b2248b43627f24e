import { toSubgraphSchema } from '@novacron/graphql';
import { builder } from './context.ts';
import './operation.ts';
import './vm.ts';

builder.queryType({ description: 'What can be asked.' });
builder.mutationType({ description: 'What can be changed.' });

export const schema = toSubgraphSchema(builder);
