import { buildSubgraphSchema } from '@apollo/subgraph';
import { sharedSdl } from '@novacron/graphql';
import { Kind, parse, print, type GraphQLSchema } from 'graphql';

/** Its name in the supergraph. */
export const EVENTS_SUBGRAPH = 'events';

/*
 * What an event carries is @external and @provided by the fields that lead to it. Were it @shareable instead, the
 * planner would take a VM's name from here wherever this subgraph names a VM, and a sample knows no more than its id.
 */
const OWN_SDL = /* GraphQL */ `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@external", "@provides", "@requiresScopes"])

  "What happens, as it happens. A message carries extensions.cursor, the place to come back to with \`after\`."
  type Subscription {
    "Every change of VMs that you may read: their state, their name, where they run."
    vmChanged(
      "Of these VMs only. An id that you can't see says nothing."
      ids: [ID!]
      "Of VMs that match before or after the change."
      filter: VmFilter
      "First all that happened after this cursor, then what happens next. CURSOR_EXPIRED when it is too old: read again, and subscribe without it."
      after: String
    ): VmEvent! @requiresScopes(scopes: [["vm:read"]])
    "Every change of operations that you may read."
    operationChanged(
      "Of this operation only."
      id: ID
      "First all that happened after this cursor, then what happens next."
      after: String
    ): Operation! @provides(fields: "kind state progress") @requiresScopes(scopes: [["operation:read"]])
    "Every change of a migration: its state, and how far it has come."
    migrationProgress(
      "The migration. An id that you can't see says nothing."
      id: ID!
      "First all that happened after this cursor, then what happens next."
      after: String
    ): Migration! @provides(fields: "state progress") @requiresScopes(scopes: [["migration:read"]])
    "What VMs use, as their hosts measure it; the latest sample of each VM at once."
    vmMetrics(
      "Of these VMs only."
      ids: [ID!]
      "At most one sample of a VM in this time, the latest: 1000 to 60000; 5000 unless told."
      intervalMs: Int
    ): VmMetrics! @requiresScopes(scopes: [["vm:read"]])
    "What hosts use; the latest sample of each host at once."
    hostMetrics(
      "Of these hosts only."
      ids: [ID!]
      "At most one sample of a host in this time, the latest: 1000 to 60000; 5000 unless told."
      intervalMs: Int
    ): HostMetrics! @requiresScopes(scopes: [["host:read"]])
  }

  "One committed change of a VM."
  type VmEvent {
    "Where it stands in the one order of events: the message's extensions.cursor."
    cursor: String!
    "What happened: vm.created, vm.changed, vm.deleted, or vm.drifted when it was not NovaCron that changed it."
    type: String!
    "When the change was made."
    at: DateTime!
    "The VM. Its name, state, desiredState and generation are those that this change committed; all else is read now."
    vm: Vm! @provides(fields: "name state desiredState generation")
  }

  "A VM."
  type Vm @key(fields: "id", resolvable: false) {
    "Its id."
    id: ID!
    "Its name, unique in its tenant."
    name: String! @external
    "What the hypervisor says, as last observed."
    state: VmState! @external
    "What was last asked for."
    desiredState: VmState! @external
    "Grows with every change."
    generation: Int! @external
  }

  "A verb under way, or done."
  type Operation @key(fields: "id", resolvable: false) {
    "Its id."
    id: ID!
    "Which verb, such as vm.create."
    kind: String! @external
    "How far it has come."
    state: OperationState! @external
    "Share of its steps that are done, 0..1."
    progress: Float! @external
  }

  "A move of a VM from one host to another."
  type Migration @key(fields: "id", resolvable: false) {
    "Its id."
    id: ID!
    "How far it has come."
    state: MigrationState! @external
    "Share of what is to be sent that was sent, 0..1."
    progress: Float! @external
  }

  "A host."
  type Host @key(fields: "id", resolvable: false) {
    "Its id."
    id: ID!
  }
`;

/** The SDL of the events subgraph, for composition: printed into gateway/schema.graphql. */
export function eventsSdl(): string {
  const shared = parse(sharedSdl()).definitions.filter(
    // declared for every subgraph's builder, named by nothing here
    (definition) => !(definition.kind === Kind.SCALAR_TYPE_DEFINITION && definition.name.value === 'JSON'),
  );
  return `${[...parse(OWN_SDL).definitions, ...shared].map(print).join('\n\n')}\n`;
}

/** The schema through which events become results: it coerces every leaf. It resolves nothing; the event is its root. */
export const createEventsSchema = (): GraphQLSchema => buildSubgraphSchema(parse(eventsSdl()));
