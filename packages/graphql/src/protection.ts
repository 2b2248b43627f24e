import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import { PAGE_SIZE } from './connection.ts';

const NAME = 'protection';

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      [NAME]: ProtectionPlugin<Types>;
    }
  }
}

/**
 * Says what the gateway needs to know before it plans: that root fields are for who has signed in (unless they say
 * `authenticated: false`, or which permission nobody gets anywhere without), and that pages are as long as their arguments say.
 */
class ProtectionPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(field: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const { authenticated, requiresScopes, listSize } = field.pothosOptions;
    const isRoot = field.kind === 'Query' || field.kind === 'Mutation';
    const pothosOptions = {
      ...field.pothosOptions,
      authenticated: authenticated ?? (isRoot && requiresScopes === undefined),
      ...(listSize === undefined && this.#isPage(field) ? { listSize: pageSize(field) } : {}),
    };
    return { ...field, pothosOptions } as PothosOutputFieldConfig<Types>; // the same kind of field
  }

  #isPage({ type }: PothosOutputFieldConfig<Types>): boolean {
    return type.kind === 'Object' && this.buildCache.getTypeConfig(type.ref).name.endsWith('Connection');
  }
}

const pageSize = ({ args }: { args: object }) => ({
  assumedSize: PAGE_SIZE.default,
  slicingArguments: ['first', 'last'].filter((name) => name in args),
  sizedFields: ['edges'],
  requireOneSlicingArgument: false,
});

SchemaBuilder.registerPlugin(NAME, ProtectionPlugin);

export default NAME;
