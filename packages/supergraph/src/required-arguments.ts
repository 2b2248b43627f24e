import {
  Kind,
  parse,
  print,
  stripIgnoredCharacters,
  visit,
  type ArgumentNode,
  type ConstDirectiveNode,
  type DefinitionNode,
  type DocumentNode,
  type FieldDefinitionNode,
  type InlineFragmentNode,
  type InterfaceTypeDefinitionNode,
  type ObjectTypeDefinitionNode,
  type SelectionSetNode,
  type StringValueNode,
  type TypeNode,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import type { SubgraphRequest, SubgraphSource } from './data-source.ts';

type FieldedType = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode;

/** A field under one choice of its arguments, as some @requires asks for it. */
interface RequiredField {
  /** `Product.price`: its other choices have the same. */
  of: string;
  name: string;
  arguments: readonly ArgumentNode[];
  /** Subgraphs that require it, by their name in join__Graph. */
  graphs: Set<string>;
}

export interface RequiredArguments {
  /** The supergraph to plan with: each required field with arguments is there once more, without arguments and under a name of its own. */
  document: DocumentNode;
  /** Asks the subgraph for what was planned in the words that it knows. */
  translate<Context>(source: SubgraphSource<Context>): SubgraphSource<Context>;
}

/** Plans make few distinct questions; this only bounds what a flood of odd ones can hold. */
const KEPT_QUESTIONS = 1_000;

/**
 * Apollo's planner keeps one choice of arguments for each response name: a client's `comments(limit: 1)`, or a second
 * @requires, takes the place of what @requires(fields: "comments(limit: 3) { id }") asks for, or the other way round, and the data
 * is wrong. So what is required gets names that nothing else has. Null where nothing with arguments is required.
 */
export function isolateRequiredArguments(document: DocumentNode): RequiredArguments | null {
  const types = new Map(document.definitions.filter(isFielded).map((type) => [type.name.value, type]));
  const required = new Map<string, RequiredField>();
  /** `Product.postage` -> what it needs of them. */
  const needs = new Map<string, ReadonlySet<string>>();
  const fieldOf = (type: string, field: string) => types.get(type)?.fields?.find(({ name }) => name.value === field);

  function nameOf(type: string, field: string, args: readonly ArgumentNode[], graph: string): string {
    const of = `${type}.${field}`;
    const text = args.map(print).toSorted().join();
    const known = [...required].find(([, each]) => each.of === of && each.arguments.map(print).toSorted().join() === text);
    known?.[1].graphs.add(graph);
    if (known) return known[0];
    const name = `${field}__requires_${required.size}`;
    required.set(name, { of, name: field, arguments: args, graphs: new Set([graph]) });
    return name;
  }

  function rename(set: SelectionSetNode, type: string, graph: string, needed: Set<string>): SelectionSetNode {
    const selections = set.selections.map((selection) => {
      if (selection.kind === Kind.FRAGMENT_SPREAD) return selection; // a field set has none
      if (selection.kind === Kind.INLINE_FRAGMENT) return { ...selection, selectionSet: rename(selection.selectionSet, selection.typeCondition?.name.value ?? type, graph, needed) };
      const definition = fieldOf(type, selection.name.value);
      if (definition === undefined) return selection; // __typename
      const selectionSet = selection.selectionSet && rename(selection.selectionSet, namedType(definition.type), graph, needed);
      if (!definition.arguments?.length) return { ...selection, ...(selectionSet ? { selectionSet } : {}) };
      const value = nameOf(type, selection.name.value, selection.arguments ?? [], graph);
      needed.add(value);
      return { ...selection, name: { kind: Kind.NAME, value } as const, arguments: [], ...(selectionSet ? { selectionSet } : {}) };
    });
    return { ...set, selections };
  }

  const renamed = visit(document, {
    FieldDefinition(field, _key, _parent, _path, ancestors) {
      const type = ancestors.findLast((node): node is FieldedType => 'kind' in node && isFielded(node))?.name.value ?? '';
      const needed = new Set<string>();
      const directives = field.directives?.map((directive) => {
        const requires = directive.arguments?.find(({ name, value }) => name.value === 'requires' && value.kind === Kind.STRING);
        if (directive.name.value !== 'join__field' || requires === undefined) return directive;
        const set = parse(`{ ${(requires.value as StringValueNode).value} }`).definitions[0] as { selectionSet: SelectionSetNode } | undefined; // as was just asked, and written
        const text = set === undefined ? '' : print(rename(set.selectionSet, type, graphOf(directive), needed)).slice(1, -1);
        return { ...directive, arguments: directive.arguments?.map((each) => (each === requires ? { ...each, value: { kind: Kind.STRING, value: text } as const } : each)) };
      });
      if (needed.size === 0) return undefined;
      needs.set(`${type}.${field.name.value}`, needed);
      return { ...field, ...(directives ? { directives } : {}) };
    },
  });
  if (required.size === 0) return null;

  const withCopies = (type: FieldedType): FieldedType => {
    const names = [type.name.value, ...(type.interfaces ?? []).map(({ name }) => name.value)];
    const ofInterface = (field: string) => type.interfaces?.some(({ name }) => fieldOf(name.value, field) !== undefined) ?? false;
    const fields = type.fields?.flatMap((field) => {
      const copies = [...required].filter(([, { of, name }]) => name === field.name.value && names.some((owner) => of === `${owner}.${name}`));
      const graphs = new Set(copies.flatMap(([, each]) => [...each.graphs]));
      // the subgraph has no other use for it, and an external field without any is refused
      const idle = copies.length === 0 || ofInterface(field.name.value) ? field : { ...field, directives: field.directives?.filter((directive) => !(isExternal(directive) && graphs.has(graphOf(directive)))) ?? [] };
      return [idle, ...copies.map(([name, each]) => copyOf(field, name, each.graphs))];
    });
    return { ...type, ...(fields ? { fields } : {}) };
  };
  const definitions = renamed.definitions.map((definition) => (isFielded(definition) ? withCopies(definition) : definition));
  return { document: { ...renamed, definitions }, translate: (source) => translated(source, required, needs) };
}

const isFielded = (node: DefinitionNode | { kind: string }): node is FieldedType => node.kind === Kind.OBJECT_TYPE_DEFINITION || node.kind === Kind.INTERFACE_TYPE_DEFINITION;
const namedType = (type: TypeNode): string => (type.kind === Kind.NAMED_TYPE ? type.name.value : namedType(type.type));

const argumentOf = ({ arguments: args }: ConstDirectiveNode, wanted: string) => args?.find(({ name }) => name.value === wanted)?.value;
const isExternal = (directive: ConstDirectiveNode): boolean => {
  const value = argumentOf(directive, 'external');
  return directive.name.value === 'join__field' && value?.kind === Kind.BOOLEAN && value.value;
};
const graphOf = (directive: ConstDirectiveNode): string => {
  const value = argumentOf(directive, 'graph');
  return value?.kind === Kind.ENUM ? value.value : '';
};

const copyOf = ({ type, directives = [] }: FieldDefinitionNode, name: string, graphs: ReadonlySet<string>): FieldDefinitionNode => ({
  kind: Kind.FIELD_DEFINITION,
  name: { kind: Kind.NAME, value: name },
  type,
  directives: directives.filter((directive) => directive.name.value === 'join__field' && (!isExternal(directive) || graphs.has(graphOf(directive)))),
});

/** One request that a question comes to: those of its fields that need the same choices of arguments. */
interface Part {
  query: string;
  needed: ReadonlySet<string>;
}

function translated<Context>(source: SubgraphSource<Context>, required: ReadonlyMap<string, RequiredField>, needs: ReadonlyMap<string, ReadonlySet<string>>): SubgraphSource<Context> {
  const known = new LRUCache<string, readonly Part[]>({ max: KEPT_QUESTIONS });
  function partsOf(query: string): readonly Part[] {
    const parts = known.get(query) ?? split(parse(query, { noLocation: true }), required, needs);
    known.set(query, parts);
    return parts;
  }
  return {
    ...source,
    async process(request: SubgraphRequest<Context>) {
      const { representations } = request.variables ?? {};
      const parts = partsOf(request.query);
      if (!Array.isArray(representations)) return source.process({ ...request, query: parts[0]?.query ?? request.query });
      const answers = await Promise.all(
        parts.map(({ query, needed }) => source.process({ ...request, query, variables: { ...request.variables, representations: representations.map((each) => represent(each, required, needed)) } })),
      );
      if (answers.length === 1 && answers[0]) return answers[0];
      const entities = representations.map((_each: unknown, index: number) => mergedEntity(answers.map(({ data }) => (data?.['_entities'] as unknown[] | undefined)?.[index])));
      const errors = answers.flatMap((each) => each.errors ?? []);
      return { data: { _entities: entities }, ...(errors.length > 0 ? { errors } : {}) };
    },
  };
}

const mergedEntity = (parts: readonly unknown[]): object | null => {
  const found = parts.filter((part) => typeof part === 'object' && part !== null);
  return found.length === 0 ? null : Object.assign({}, ...found) as object; // of objects alone
};

/** What the planner wrote, as the subgraph reads it. Two choices of the same arguments have no room in one representation: they are asked for apart. */
function split(document: DocumentNode, required: ReadonlyMap<string, RequiredField>, needs: ReadonlyMap<string, ReadonlySet<string>>): Part[] {
  const groups: Set<string>[] = [];
  const groupOf = (needed: ReadonlySet<string>): number => {
    const clashes = (group: Set<string>) => [...group].some((one) => [...needed].some((other) => one !== other && required.get(one)?.of === required.get(other)?.of));
    const found = groups.findIndex((group) => !clashes(group));
    const index = found === -1 ? groups.push(new Set()) - 1 : found;
    for (const name of needed) groups[index]?.add(name);
    return index;
  };
  const NONE: ReadonlySet<string> = new Set();
  const groupByField = new Map<string, number>();
  const keyOf = (type: string, field: string) => `${type}.${field}`;
  for (const { type, fragment } of entityFragments(document)) {
    for (const field of fragment.selectionSet.selections) {
      if (field.kind === Kind.FIELD) groupByField.set(keyOf(type, field.name.value), groupOf(needs.get(keyOf(type, field.name.value)) ?? NONE));
    }
  }
  if (groups.length < 2) return [{ query: write(document, required), needed: groups[0] ?? NONE }];
  return groups.map((needed, index) => {
    const own = new Map(
      entityFragments(document).map(({ type, fragment }) => {
        const selections = fragment.selectionSet.selections.filter((each) => (each.kind === Kind.FIELD ? groupByField.get(keyOf(type, each.name.value)) : 0) === index);
        return [fragment, { ...fragment, selectionSet: { ...fragment.selectionSet, selections } }] as const;
      }),
    );
    const part = visit(document, { InlineFragment: (node) => (own.has(node) ? (own.get(node)?.selectionSet.selections.length ? own.get(node) : null) : undefined) });
    return { query: write(part, required), needed };
  });
}

/** What is asked of each type of entity; none where fields of the root are asked for. */
function entityFragments(document: DocumentNode): { type: string; fragment: InlineFragmentNode }[] {
  const found: { type: string; fragment: InlineFragmentNode }[] = [];
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    for (const root of definition.selectionSet.selections) {
      if (root.kind !== Kind.FIELD || root.name.value !== '_entities') continue;
      for (const fragment of root.selectionSet?.selections ?? []) {
        if (fragment.kind === Kind.INLINE_FRAGMENT && fragment.typeCondition) found.push({ type: fragment.typeCondition.name.value, fragment });
      }
    }
  }
  return found;
}

const write = (document: DocumentNode, required: ReadonlyMap<string, RequiredField>): string =>
  stripIgnoredCharacters(
    print(
      visit(document, {
        Field(field) {
          const meant = required.get(field.name.value);
          if (meant === undefined) return undefined;
          return { ...field, alias: field.alias ?? field.name, name: { kind: Kind.NAME, value: meant.name } as const, arguments: meant.arguments };
        },
      }),
    ),
  );

/** An entity as the subgraph knows it: what is needed under its own name, and nothing of the other choices. */
function represent(value: unknown, required: ReadonlyMap<string, RequiredField>, needed: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map((each) => represent(each, required, needed));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([name, each]) => (required.has(name) && !needed.has(name) ? [] : [[required.get(name)?.name ?? name, represent(each, required, needed)]])));
}
