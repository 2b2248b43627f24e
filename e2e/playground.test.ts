import { eventually } from '@novacron/testkit';
import { getNamedType, isInputObjectType, parse, TypeInfo, validate, visit, visitWithTypeInfo, type GraphQLSchema } from 'graphql';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { EXAMPLES } from './kit/examples.ts';
import { ADMIN } from './kit/people.ts';
import { apiSchema } from './kit/supergraph.ts';
import { haveVm } from './kit/vm.ts';

describe('the examples', () => {
  const schema = apiSchema();

  it.each(EXAMPLES.map(({ name, document, variables }) => [name, document, variables] as const))('%s is of this graph, with its variables', (_name, document, variables) => {
    expect(validate(schema, parse(document)).map(String)).toEqual([]);
    expect(unknownInput(schema, document, variables)).toEqual([]);
  });

  it('use every mutation of a VM, and every subscription', () => {
    const used = new Set(EXAMPLES.flatMap(({ document }) => document.match(/\b[a-z]+[A-Z]\w*(?=\s*[({])/g) ?? []));
    const verbs = Object.keys(schema.getMutationType()?.getFields() ?? {}).filter((field) => field.endsWith('Vm') && field !== 'updateVm');
    const subscriptions = Object.keys(schema.getSubscriptionType()?.getFields() ?? {});
    expect([...verbs, ...subscriptions].filter((field) => !used.has(field))).toEqual([]);
  });
});

/** Variables and their fields that no operation of the document has. */
function unknownInput(schema: GraphQLSchema, document: string, variables: object): string[] {
  const problems: string[] = [];
  const declared = new Map<string, string>();
  const types = new TypeInfo(schema);
  visit(
    parse(document),
    visitWithTypeInfo(types, {
      VariableDefinition(node) {
        const type = getNamedType(types.getInputType() ?? undefined);
        if (type) declared.set(node.variable.name.value, type.name);
      },
    }),
  );
  const check = (path: string, typeName: string | undefined, value: unknown): void => {
    const type = typeName === undefined ? undefined : schema.getType(typeName);
    if (!isInputObjectType(type) || typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) return value.forEach((one, index) => check(`${path}.${index}`, typeName, one));
    const fields = type.getFields();
    for (const [name, inner] of Object.entries(value)) {
      const field = fields[name];
      if (field === undefined) problems.push(`${path}.${name}`);
      else check(`${path}.${name}`, getNamedType(field.type).name, inner);
    }
  };
  for (const [name, value] of Object.entries(variables)) {
    if (!declared.has(name)) problems.push(name);
    check(name, declared.get(name), value);
  }
  return problems;
}

describe('in a browser', () => {
  let system: Embedded;
  let browser: Browser;
  let page: Page;
  let me: Graph;
  /** What the page complained about, and where it went. */
  const complaints: string[] = [];
  const hosts = new Set<string>();

  beforeAll(async () => {
    system = await startEmbedded();
    me = system.graph.as(await system.graph.login(ADMIN.email, ADMIN.password));
    await system.registerHost(me);
    browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
    const context = await browser.newContext({ viewport: { width: 1400, height: 1000 }, permissions: ['clipboard-read', 'clipboard-write'] });
    page = await context.newPage();
    page.setDefaultTimeout(10_000);
    page.on('console', (message) => message.type() === 'error' && complaints.push(`${message.text()} ${message.location().url}`));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => /^(data|blob):/.test(request.url()) || hosts.add(new URL(request.url()).host));
    page.on('websocket', (socket) => hosts.add(new URL(socket.url()).host));
  });
  afterAll(async () => {
    await browser?.close();
    await system?.close();
  });

  async function openTab(name: string): Promise<void> {
    await page.getByRole('tab', { name: new RegExp(`^${name}`) }).first().click();
    // GraphiQL notices 100 ms later which operation a tab holds, and then keeps its text.
    await page.waitForFunction((operation) => new RegExp(`^\\w+ ${operation}\\b`, 'm').test(String(sessionStorage.getItem('graphiql:query'))), name);
  }
  const run = () => page.locator('.graphiql-execute-button').click();
  const response = () => page.locator('.graphiql-response').innerText();
  const shows = (text: string): Promise<string> =>
    eventually(`the response to show ${text}`, async () => {
      const plain = (await response()).replaceAll('\u00a0', ' ');
      if (!plain.includes(text)) throw new Error(plain.slice(0, 500));
      return plain;
    });

  /** Pasted: what is typed gets closing brackets that nobody typed. */
  async function setVariables(variables: object): Promise<void> {
    await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(JSON.stringify(variables))})`); // as text: the DOM's types are not ours
    await page.locator('.graphiql-editor-tool .monaco-editor').first().click();
    await page.keyboard.press('Control+A');
    await page.keyboard.press('Control+V');
  }

  it('loads under a strict policy', async () => {
    const loaded = await page.goto(`${system.graph.url}/`);
    expect(loaded?.headers()['content-security-policy']).toMatch(/default-src 'none'.*script-src 'self';.*frame-ancestors 'none'/);
    await page.locator('.graphiql-container').waitFor();
    await page.getByText('Not signed in').waitFor();
    await page.getByText('Welcome to NovaCron').waitFor();
    expect(await page.getByRole('tab').allInnerTexts()).toEqual(expect.arrayContaining([expect.stringMatching(/^Login/), expect.stringMatching(/^Hosts/), expect.stringMatching(/^WatchVms/)]));
  });

  it('signs in with the example mutation', async () => {
    await setVariables({ input: ADMIN });
    await run();
    await shows('"accessToken"');
    await page.getByText(`Administrator · ${ADMIN.email}`).waitFor();
    expect(await page.getByText('Not signed in').count()).toBe(0);
  });

  it('runs hosts', async () => {
    await openTab('Hosts');
    await run();
    expect(await shows('"name": "hv1"')).toContain('"state": "ONLINE"');
  });

  it('shows how it would be run', async () => {
    await page.getByRole('button', { name: /query plan/i }).first().click();
    const plan = page.locator('.query-plan');
    await plan.getByText('Fetch from vms').first().waitFor();
    await plan.getByText('Fetch from vms').first().click();
    expect(await plan.innerText()).toMatch(/hosts/);
    await page.getByRole('button', { name: /query plan/i }).first().click();
  });

  it('shows the manual of the graph', async () => {
    await page.getByRole('button', { name: /documentation/i }).first().click();
    await page.locator('.graphiql-plugin').getByText('Mutation', { exact: true }).first().click();
    await page.locator('.graphiql-plugin').getByText('Makes a VM, with its disks and interfaces, and starts it.').first().waitFor();
    expect(await page.locator('.graphiql-plugin').innerText()).toMatch(/createVm[\s\S]*Makes a VM, with its disks and interfaces, and starts it\. Errors: BAD_USER_INPUT/);
  });

  it('sees live what happens to VMs', async () => {
    await openTab('WatchVms');
    await run();
    await eventually('the subscription', async () => /novacron_subscriptions_active\{field="vmChanged"\} 1/.test(await (await fetch(`${system.graph.url}/metrics`)).text()));
    const vm = await haveVm(me, system.guest, { name: 'seen-live' });
    await shows('"name": "seen-live"');
    expect(await shows('"state": "RUNNING"')).toContain(`"email": "${ADMIN.email}"`);
    await vm.does('pause');
    expect(await shows('"state": "PAUSED"')).toContain('"type": "vm.changed"');
    await run(); // the same button stops it
  });

  it('survives a reload and a new tab, still signed in, and signs out everywhere', async () => {
    await page.reload();
    await page.getByText(`Administrator · ${ADMIN.email}`).waitFor();
    await openTab('Hosts');
    await run();
    await shows('"name": "hv1"');
    const other = await page.context().newPage();
    await other.goto(`${system.graph.url}/`);
    await other.getByText(`Administrator · ${ADMIN.email}`).waitFor();
    await other.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('Not signed in').waitFor();
    await other.close();
    expect(await page.evaluate('Object.keys(localStorage).filter((key) => key.startsWith("novacron"))')).toEqual([]);
    expect(await page.getByRole('button', { name: /query plan/i }).count()).toBe(0);
    await run();
    expect(await shows('"code": "UNAUTHENTICATED"')).toContain('Sign in first');
  });

  it('has asked nobody else and complained about nothing', () => {
    expect([...hosts]).toEqual([new URL(system.graph.url).host]);
    expect(complaints).toEqual([]);
  });
});
