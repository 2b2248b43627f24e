/** How deep the fuzzing reaches: of each root field, how often it was answered with data. */
export class Tally {
  readonly #counts = new Map<string, { answered: number; asked: number }>();

  count(field: string, isAnswered: boolean): void {
    const { answered, asked } = this.#counts.get(field) ?? { answered: 0, asked: 0 };
    this.#counts.set(field, { answered: answered + Number(isAnswered), asked: asked + 1 });
  }

  /** In one line, with the fields that never answered. */
  toString(): string {
    const all = [...this.#counts.values()];
    const sum = (of: (one: { answered: number; asked: number }) => number) => all.reduce((total, one) => total + of(one), 0);
    const never = [...this.#counts].filter(([, { answered }]) => answered === 0).map(([field, { asked }]) => `${field} (${asked})`);
    return `${sum(({ answered }) => answered)} of ${sum(({ asked }) => asked)} answered with data, by ${all.length - never.length} of ${all.length} fields; never: ${never.join(', ') || 'none'}`;
  }
}
