import type { RequestContext } from '@novacron/contracts';
import { DomainError, type ErrorCode } from '@novacron/core';
import type { Builder } from './builder.ts';

/** Whether something may be done now, in the words of the mutation that would do it. */
export interface Verdict {
  allowed: boolean;
  code: ErrorCode | null;
  reason: string | null;
}

/** The type is every subgraph's: see shared.ts. */
export const verdictType = <C extends RequestContext>(builder: Builder<C>) =>
  builder.objectRef<Verdict>('Verdict').implement({
    description: 'Whether you may do something now. Others may be quicker: what was allowed a moment ago can still be refused.',
    directives: [{ name: 'shareable', args: {} }] as never, // see connection.ts
    fields: (t) => ({
      allowed: t.exposeBoolean('allowed', { description: 'Would it be accepted now?' }),
      code: t.string({ nullable: true, description: 'The code of the error that it would be refused with; null when it is allowed.', resolve: ({ code }) => code }),
      reason: t.exposeString('reason', { nullable: true, description: 'Why not, as one sentence for a person; null when it is allowed.' }),
    }),
  });

/** What the rules of a mutation say without the mutation: they throw what it would answer. A fault that is none of theirs is thrown on. */
export async function verdictOf(rules: () => Promise<unknown>): Promise<Verdict> {
  try {
    await rules();
    return { allowed: true, code: null, reason: null };
  } catch (error) {
    if (!(error instanceof DomainError) || error.code === 'INTERNAL') throw error;
    return { allowed: false, code: error.code, reason: error.message };
  }
}
