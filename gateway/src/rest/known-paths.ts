/** The known addresses (known-addresses.ts) as OpenAPI describes them. */

const tags = ['other addresses'];
const refusals = { '4XX': { $ref: '#/components/responses/Refused' }, '5XX': { $ref: '#/components/responses/Failed' } };
const json = (description: string, schema: object) => ({ 200: { description, content: { 'application/json': { schema } } }, ...refusals });
const body = (schema: object) => ({ required: true, content: { 'application/json': { schema } } });

const texts = (required: readonly string[], optional: readonly string[] = []) => ({
  type: 'object',
  properties: Object.fromEntries([...required, ...optional].map((name) => [name, { type: 'string' }])),
  required,
});
const TOKENS = { $ref: '#/components/schemas/AuthPayload' };
const moment = { type: 'string', format: 'date-time' };
const totals = {
  type: 'object',
  properties: {
    hosts: { type: 'integer', description: 'Hosts that are sampled now.' },
    cpu: { type: ['number', 'null'], description: 'The mean of their shares of CPU in use, 0..1.' },
    memoryUsed: { type: 'integer', description: 'Bytes.' },
    memoryTotal: { type: 'integer', description: 'Bytes.' },
    vmsRunning: { type: 'integer', description: 'Domains that run on them.' },
  },
};

export const KNOWN_PATHS: Readonly<Record<string, Record<string, object>>> = {
  '/api/health': { get: { operationId: 'health', summary: 'Whether the gateway runs', tags, security: [], responses: json('It does.', { type: 'object', properties: { status: { const: 'ok' } } }) } },
  '/api/auth/login': { post: { operationId: 'authLogin', summary: 'As POST /api/v1/login', tags, security: [], requestBody: body(texts(['email', 'password'], ['code'])), responses: json('Signed in.', TOKENS) } },
  '/api/auth/refresh': {
    post: {
      operationId: 'authRefresh',
      summary: 'As POST /api/v1/sessions/refresh',
      tags,
      security: [],
      requestBody: body(texts(['refreshToken'])),
      responses: json('New tokens.', TOKENS),
    },
  },
  '/api/auth/logout': { post: { operationId: 'authLogout', summary: 'As POST /api/v1/logout', tags, responses: { 204: { description: 'The session has ended.' }, ...refusals } } },
  '/api/auth/register': { post: { operationId: 'authRegister', summary: 'As POST /api/v1/register', tags, security: [], requestBody: body(texts(['email', 'name', 'password'])), responses: json('Registered, and signed in.', TOKENS) } },
  '/api/v1/metrics/system': {
    get: {
      operationId: 'systemMetrics',
      summary: 'What the fleet uses now: the latest sample of each host, and their sum. Needs host:read',
      tags,
      responses: json('Now.', { type: 'object', properties: { at: moment, totals, hosts: { type: 'array', items: { type: 'object' } } } }),
    },
  },
  '/api/v1/metrics/vms': {
    get: {
      operationId: 'vmMetrics',
      summary: 'What VMs that you may read use now: the latest sample of each',
      tags,
      responses: json('Now.', { type: 'object', properties: { at: moment, items: { type: 'array', items: { type: 'object' } } } }),
    },
  },
};
