import type { Asker, Deed } from './entry.ts';

/** What only the resolver of a mutation can tell of it. */
export type Note = Partial<Pick<Asker, 'userId'> & Pick<Deed, 'targetType' | 'targetId' | 'tenantId'>>;

const notes = new WeakMap<object, Note>();

/** Says of the mutation that runs in this context whom or what it is about. Mutations of one request run one after another. */
export function noteForAudit(context: object, note: Note): void {
  notes.set(context, { ...notes.get(context), ...note });
}

/** What was said, once. */
export function takeNote(context: object): Note {
  const note = notes.get(context) ?? {};
  notes.delete(context);
  return note;
}
