import { toSubgraphSchema } from '@novacron/graphql';
import { builder } from './context.ts';
import './second-factor.ts';
import './session.ts';
import './sign-in.ts';
import './tenant.ts';
import './user.ts';

builder.queryType({ description: 'What can be asked.' });
builder.mutationType({ description: 'What can be changed.' });

export const schema = toSubgraphSchema(builder);
