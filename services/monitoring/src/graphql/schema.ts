import { toSubgraphSchema } from '@novacron/graphql';
import { builder } from './context.ts';
import './metrics.ts';

builder.queryType({});

/** Monitoring's part of the graph. */
export const schema = toSubgraphSchema(builder);
