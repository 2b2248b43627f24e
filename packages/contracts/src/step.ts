/** A step as other services may name it: declared here, implemented by its owner, run by the engine on the owner's queue. */
export interface StepDeclaration<Input = unknown> {
  /** `<service>.<verb>`: the service's workers do it. */
  readonly name: string;
  /** Has it something to take back when a later step fails, or someone cancels? */
  readonly undoable: boolean;
  /** Once begun, the operation can't be cancelled any more; once it has succeeded, the operation only goes forward. */
  readonly final?: boolean;
  /** May be cancelled while it runs, but once it has succeeded, the operation only goes forward. */
  readonly settles?: boolean;
  /** What it is told; exists only for the compiler. */
  readonly input?: Input;
}

/** Declares a step with what it is told. */
export const declareStep =
  <Input>() =>
  <const Declaration extends Omit<StepDeclaration, 'input'>>(declaration: Declaration): Declaration & { readonly input?: Input } =>
    declaration;
