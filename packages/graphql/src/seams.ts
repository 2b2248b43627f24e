import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type PothosOutputFieldType, type SchemaTypes } from '@pothos/core';

const NAME = 'seams';

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      [NAME]: SeamsPlugin<Types>;
    }
  }
}

/**
 * Makes nullable what one service can't promise for another: root fields, fields added to another's entity, and references to
 * another's entities. A null that may not be spreads to the next field that may; without this a service that is down would take
 * the others' answers with it. See docs/adr/0019.
 */
class SeamsPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(field: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    if (field.kind === 'ExternalEntity') return field; // a key is always there
    const type = this.#withNullableReferences(field.type);
    const isAtSeam = field.kind === 'Query' || field.kind === 'Mutation' || this.#isForeign(field.parentType);
    return { ...field, type: isAtSeam ? { ...type, nullable: true } : type };
  }

  /** Of a list, what is in it: the list itself is this service's to promise. */
  #withNullableReferences(type: PothosOutputFieldType<Types>): PothosOutputFieldType<Types> {
    if (type.kind === 'List') return { ...type, type: this.#withNullableReferences(type.type) };
    return type.kind === 'Object' && this.#isForeign(type.ref) ? { ...type, nullable: true } : type;
  }

  #isForeign(ref: Parameters<typeof this.buildCache.getTypeConfig>[0]): boolean {
    const { directives } = this.buildCache.getTypeConfig(ref).extensions ?? {};
    return Array.isArray(directives) && directives.some((directive) => directive.name === 'extends');
  }
}

SchemaBuilder.registerPlugin(NAME, SeamsPlugin);

export default NAME;
