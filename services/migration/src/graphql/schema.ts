import { toSubgraphSchema } from '@novacron/graphql';
import { builder } from './context.ts';
import './host.ts';
import './migration.ts';
import './mutations.ts';
import './vm.ts';

export const schema = toSubgraphSchema(builder);
