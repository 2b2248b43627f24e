import { getNamedType, isNonNullType, isObjectType, type GraphQLObjectType, type GraphQLSchema } from 'graphql';
import type { Graph } from '../kit/client.ts';

export const NOBODY = '018f0000-0000-7000-8000-000000000000';

/** Names in what was generated that stand for an id of a type, whatever there is by then: `known:Vm:7`. */
const PLACEHOLDER = /known:(\w*):(\d+)/g;
const placeholder = (type: string, index: number): string => `known:${type}:${index}`;

/** Root fields that list a type with ids, as `vms` does Vm. */
function listings(schema: GraphQLSchema): { field: string; type: GraphQLObjectType }[] {
  return Object.values(schema.getQueryType()?.getFields() ?? {}).flatMap(({ name: field, type: connection, args }) => {
    const page = getNamedType(connection);
    const edge = isObjectType(page) ? getNamedType(page.getFields()['edges']?.type) : undefined;
    const type = isObjectType(edge) ? getNamedType(edge.getFields()['node']?.type) : undefined;
    return isObjectType(type) && type.getFields()['id'] !== undefined && !args.some((arg) => isNonNullType(arg.type)) ? [{ field, type }] : [];
  });
}

/** The ids of what is there, so that some of what is asked for is found. */
export class KnownIds {
  readonly #listings: { field: string; type: GraphQLObjectType }[];
  readonly #ids = new Map<string, string[]>();

  constructor(schema: GraphQLSchema) {
    this.#listings = listings(schema);
  }

  async look(graph: Graph): Promise<void> {
    const data = await graph.run(`{ ${this.#listings.map(({ field }) => `${field}(first: 20) { edges { node { id } } }`).join(' ')} }`);
    for (const { field, type } of this.#listings) this.#ids.set(type.name, (data[field].edges as { node: { id: string } }[]).map(({ node }) => node.id));
  }

  /** What else there is to be found, by what takes it: the files of a kernel. */
  learn(name: string, value: string): void {
    this.#ids.set(name, [value]);
  }

  knows(name: string): boolean {
    return this.#ids.has(name);
  }

  /** For an argument: of the type in its name, or in its field's when it is just `id`. */
  placeholderFor(name: string, field: string, index: number): string {
    if (this.#ids.has(name)) return placeholder(name, index);
    const hint = (/^ids?$/i.test(name) ? field : name).toLowerCase();
    const [type] = this.#listings.map((each) => each.type.name).filter((each) => hint.includes(each.toLowerCase())).toSorted((one, other) => other.length - one.length);
    return placeholder(type ?? '', index);
  }

  /** Puts ids where they are stood for. */
  fill(text: string): string {
    return text.replaceAll(PLACEHOLDER, (_all, type: string, index: string) => {
      const ids = type === '' ? [...this.#ids.values()].flat() : (this.#ids.get(type) ?? []);
      return ids[Number(index) % ids.length] ?? NOBODY;
    });
  }
}
