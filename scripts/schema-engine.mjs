#!/usr/bin/env node
/**
 * Stands in for Prisma's `schema-engine` binary, which the Prisma CLI would download from Prisma's hosts:
 * the same JSON-RPC on stdin and stdout, answered by Prisma's own engine compiled to WebAssembly
 * (@prisma/schema-engine-wasm) over @prisma/adapter-pg. scripts/prisma.ts points the CLI here with
 * PRISMA_SCHEMA_ENGINE_BINARY, so that migrate dev, deploy, diff and status work offline.
 * Source of the protocol: prisma/prisma, packages/migrate/src/SchemaEngineCLI.ts.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import * as wasm from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';

const { values: options, positionals } = parseArgs({
  strict: false, // the CLI may pass options that mean nothing here
  allowPositionals: true,
  options: {
    datamodels: { type: 'string', multiple: true },
    datasource: { type: 'string' },
    version: { type: 'boolean' },
  },
});

/** Nothing listens there: `diff` between two schema files asks for an engine and never connects. */
const NO_DATABASE = 'postgresql://nobody@127.0.0.1:1/nothing';

/** What only Prisma's URLs carry; pg would send it to the server. */
const PRISMA_PARAMETERS = ['schema', 'connection_limit', 'pool_timeout', 'pgbouncer', 'connect_timeout'];

function readTarget() {
  const url = new URL(options.datasource ? JSON.parse(options.datasource).url : NO_DATABASE);
  const schema = url.searchParams.get('schema') ?? 'public';
  for (const name of PRISMA_PARAMETERS) url.searchParams.delete(name);
  const database = decodeURIComponent(url.pathname.slice(1));
  const host = url.host || url.searchParams.get('host');
  return { schema, database, host, urlOf: (name) => Object.assign(new URL(url), { pathname: `/${name}` }).toString() };
}

const target = readTarget();
const quote = (identifier) => pg.escapeIdentifier(identifier);

async function withClient(database, work) {
  const client = new pg.Client({ connectionString: target.urlOf(database) });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const CHAR_OID = 18;
const TEXT_OID = 25;

/**
 * adapter-pg refuses the type "char", of which pg_catalog is full, and the engine wants it as a character.
 * So the driver calls it text, and remembers, by the rows, where it was.
 */
const charColumns = new WeakMap();

function hideChars(result) {
  for (const each of [result].flat()) {
    const chars = (each?.fields ?? []).filter((field) => field.dataTypeID === CHAR_OID);
    if (chars.length > 0) charColumns.set(each.rows, chars.map((field) => each.fields.indexOf(field)));
    for (const field of chars) field.dataTypeID = TEXT_OID;
  }
  return result;
}

function showChars(result) {
  for (const column of charColumns.get(result.rows) ?? []) result.columnTypes[column] = ColumnTypeEnum.Character;
  return result;
}

class CatalogClient extends pg.Client {
  query(...args) {
    const callback = args.at(-1);
    if (typeof callback === 'function') args[args.length - 1] = (error, result) => callback(error, hideChars(result));
    const pending = super.query(...args);
    return typeof pending?.then === 'function' ? pending.then(hideChars) : pending;
  }
}

class AdapterFactory extends PrismaPg {
  constructor(database) {
    const config = {
      Client: CatalogClient,
      connectionString: target.urlOf(database),
      options: `-c search_path=${quote(target.schema)}`,
    };
    super(config, { schema: target.schema });
  }

  async connect() {
    const adapter = await super.connect();
    const queryRaw = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (query) => showChars(await queryRaw(query));
    // adapter-pg splits a script at each ';', also in the middle of a $$ body.
    adapter.executeScript = async (script) => {
      await adapter.underlyingDriver().query(script);
    };
    return adapter;
  }

  /** adapter-pg's own drops the shadow database while it is still connected to it. */
  async connectToShadowDb() {
    const name = `prisma_migrate_shadow_db_${randomUUID()}`;
    await withClient(target.database, (client) => client.query(`create database ${quote(name)}`));
    const adapter = await new AdapterFactory(name).connect();
    const disconnect = adapter.dispose.bind(adapter);
    adapter.dispose = async () => {
      await disconnect();
      await withClient(target.database, (client) => client.query(`drop database if exists ${quote(name)} with (force)`));
    };
    return adapter;
  }
}

async function loadWasm() {
  const file = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg').replace(/\.js$/, '.wasm');
  const { instance } = await WebAssembly.instantiate(readFileSync(file), { './schema_engine_bg.js': wasm });
  // The engine reports a panic through this global. Source: prisma/prisma, packages/migrate/src/wasm.ts.
  let panic = '';
  globalThis.PRISMA_WASM_PANIC_REGISTRY = { get: () => panic, set_message: (message) => (panic = message) };
  wasm.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
}

const factory = bindMigrationAwareSqlAdapterFactory(new AdapterFactory(target.database));

let engine;
const openEngine = () =>
  (engine ??= wasm.SchemaEngine.new(
    { datamodels: options.datamodels?.map((file) => [file, readFileSync(file, 'utf8')]) },
    (line) => process.stderr.write(`${line}\n`),
    factory,
  ));

/** The engine names an error of the adapter by a number; what it was is in the factory's registry. */
const explain = (message) =>
  message.replace(/External error id#(\d+)/g, (name, id) => factory.errorRegistry.consumeError(Number(id))?.error?.message ?? name);

/** An error as the CLI knows it: https://www.prisma.io/docs/orm/reference/error-reference */
const coded = (code, message, meta = {}) =>
  Object.assign(new Error(message), { data: { is_panic: false, message, meta, error_code: code } });

function connectionError(error) {
  const { database, host } = target;
  if (error.code === '3D000') return coded('P1003', `Database \`${database}\` does not exist at \`${host}\`.`, { database_name: database });
  if (error.code === '28P01') return coded('P1000', `Authentication failed against the database server at \`${host}\`.`);
  return coded('P1001', `Can't reach the database server at \`${host}\`: ${error.message}`);
}

/** What the WebAssembly engine does by itself. */
const DELEGATED = [
  ...['applyMigrations', 'dbExecute', 'debugPanic', 'devDiagnostic', 'diagnoseMigrationHistory', 'introspect'],
  ...['introspectSql', 'markMigrationApplied', 'markMigrationRolledBack', 'reset', 'schemaPush'],
];

/**
 * The SQL that leads from a list of migrations to a schema. This engine can only do that in `diff`: its own
 * createMigration and evaluateDataLoss refuse ("PostgreSQL shadow DB must be provided through an external
 * factory"; seen with 8.1.0-2). So nobody warns of lost data here: read the SQL.
 */
async function migrationScript({ migrationsList, schema, filters }) {
  const [from, to] = [{ tag: 'migrations', ...migrationsList }, { tag: 'schemaDatamodel', ...schema }];
  const params = { from, to, filters, script: true, exitCode: true, shadowDatabaseUrl: null };
  const { exitCode, stdout } = await (await openEngine()).diff(params);
  return exitCode === 2 ? stdout : null; // 2: there is a difference
}

/** What needs a connection outside the schema, or an answer in another shape than the engine's. */
const methods = {
  ...Object.fromEntries(DELEGATED.map((name) => [name, async (params) => (await openEngine())[name](params)])),
  getDatabaseVersion: async (params) => (await openEngine()).version(params),
  async ensureConnectionValidity() {
    await withClient(target.database, (client) => client.query('select 1')).catch((error) => {
      throw connectionError(error);
    });
    return {};
  },
  async createDatabase() {
    await withClient('postgres', (client) => client.query(`create database ${quote(target.database)}`));
    return { databaseName: target.database };
  },
  async dropDatabase() {
    await withClient('postgres', (client) => client.query(`drop database if exists ${quote(target.database)} with (force)`));
    return {};
  },
  async evaluateDataLoss(params) {
    return { migrationSteps: (await migrationScript(params)) === null ? 0 : 1, warnings: [], unexecutableSteps: [] };
  },
  async createMigration(params) {
    const script = await migrationScript(params);
    const time = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
    return {
      connectorType: 'postgresql',
      generatedMigrationName: `${time}_${params.migrationName}`,
      migrationScript: script ?? (params.draft ? '-- This is an empty migration.' : null),
      extension: 'sql',
    };
  },
  /** The binary prints a diff by a request of its own; the WebAssembly engine returns it. */
  async diff(params) {
    const { exitCode, stdout } = await (await openEngine()).diff(params);
    if (stdout != null) send({ id: randomUUID(), method: 'print', params: { content: stdout.replace(/\n$/, '') } });
    return { exitCode, stdout: null };
  },
};

const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);

async function answer({ id, method, params }) {
  try {
    if (!Object.hasOwn(methods, method)) throw new Error(`This schema engine has no method ${method}.`);
    send({ id, result: (await methods[method](params)) ?? {} });
  } catch (error) {
    const code = String(error.code ?? '').startsWith('P') ? error.code : undefined;
    const data = error.data ?? { is_panic: false, message: explain(error.message), error_code: code, meta: error.meta };
    send({ id, error: { code: 4466, message: 'An error happened. Check the data field for details.', data } });
  }
}

/** One after the other, in the order of their arrival; an answer to our own `print` has no method. */
async function serve() {
  for await (const line of createInterface({ input: process.stdin })) {
    const message = JSON.parse(line);
    if (message.method) await answer(message);
  }
}

/** `schema-engine cli <command>`: one question, answered by the exit code. */
async function runCommand(command) {
  const names = {
    'can-connect-to-database': 'ensureConnectionValidity',
    'create-database': 'createDatabase',
    'drop-database': 'dropDatabase',
  };
  try {
    if (!Object.hasOwn(names, command)) throw new Error(`This schema engine has no command ${command}.`);
    await methods[names[command]]();
  } catch (error) {
    const { error_code = 'P1001', meta = {} } = error.data ?? {};
    const fields = { message: error.message, is_panic: false, error_code, meta };
    // The CLI reads the last line.
    process.stderr.write(`\n${JSON.stringify({ level: 'ERROR', timestamp: new Date(), target: 'schema_engine::logger', fields })}`);
    process.exitCode = 1;
  }
}

await loadWasm();
if (options.version) console.log('schema-engine-wasm', wasm.version());
else if (positionals[0] === 'cli') await runCommand(positionals[1]);
else await serve();
// The engine keeps its connections open; the CLI waits for our end.
process.exit();
