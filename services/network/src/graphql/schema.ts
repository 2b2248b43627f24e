import { toSubgraphSchema } from '@novacron/graphql';
import { builder } from './context.ts';
import './mutations.ts';
import './network.ts';
import './security-group.ts';
import './vm.ts';

export const schema = toSubgraphSchema(builder);
