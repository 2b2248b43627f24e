import { toSubgraphSchema } from '@novacron/graphql';
import { builder } from './context.ts';
import './image.ts';
import './mutations.ts';
import './pool.ts';
import './vm.ts';
import './volume.ts';

export const schema = toSubgraphSchema(builder);
