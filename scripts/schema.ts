/**
 * Prints every subgraph's SDL to where it is committed and composes the supergraph. With --check it writes nothing and
 * fails where a committed file differs from the code.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { printSubgraphSchema } from '@apollo/subgraph';
import { checkKeys, composeSupergraph, eventsSdl } from '@novacron/gateway';
import { identitySchema } from '@novacron/service-identity';
import { migrationSchema } from '@novacron/service-migration';
import { monitoringSchema } from '@novacron/service-monitoring';
import { networkSchema } from '@novacron/service-network';
import { operationsSchema } from '@novacron/service-operations';
import { storageSchema } from '@novacron/service-storage';
import { vmsSchema } from '@novacron/service-vms';

const root = join(import.meta.dirname, '..');
const services = {
  identity: identitySchema,
  migration: migrationSchema,
  monitoring: monitoringSchema,
  network: networkSchema,
  operations: operationsSchema,
  storage: storageSchema,
  vms: vmsSchema,
};

const sdls: Record<string, string> = { events: eventsSdl() };
const files: Record<string, string> = { 'gateway/schema.graphql': `${sdls['events']?.trimEnd()}\n` };
for (const [name, schema] of Object.entries(services)) {
  const sdl = `${printSubgraphSchema(schema).trimEnd()}\n`;
  sdls[name] = sdl;
  files[`services/${name}/schema.graphql`] = sdl;
}
const supergraph = composeSupergraph(sdls);
const problems = checkKeys(supergraph);
if (problems.length > 0) throw new Error(`Keys that must not be resolvable:\n${problems.join('\n')}`);
files['gateway/supergraph.graphql'] = supergraph;

const committed = (file: string): string | null => {
  try {
    return readFileSync(join(root, file), 'utf8');
  } catch {
    return null; // not there yet: it differs
  }
};
const different = Object.keys(files).filter((file) => committed(file) !== files[file]);
if (!process.argv.includes('--check')) {
  for (const file of different) writeFileSync(join(root, file), files[file] ?? '');
  console.log(different.length === 0 ? 'Every schema is as committed.' : `Written: ${different.join(', ')}`);
} else if (different.length > 0) {
  console.error(`The code says something else than what is committed: ${different.join(', ')}. Run: npm run schema`);
  process.exitCode = 1;
}
