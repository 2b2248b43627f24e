import { toSubgraphSchema } from '@novacron/graphql';
import { builder } from './context.ts';
import './accounts.ts';
import './api-token.ts';
import './audit.ts';
import './mail.ts';
import './invitation.ts';
import './members.ts';
import './people.ts';
import './profile.ts';
import './second-factor.ts';
import './security.ts';
import './service-account.ts';
import './session.ts';
import './settings.ts';
import './sign-in.ts';
import './ssh-key.ts';
import './tenant.ts';
import './user.ts';

builder.queryType({ description: 'What can be asked.' });
builder.mutationType({ description: 'What can be changed.' });

export const schema = toSubgraphSchema(builder);
