import { GraphQLError, Lexer, parse, Source, TokenKind, type DocumentNode, type ParseOptions } from 'graphql';
import { beyondLimit, DEFAULT_LIMITS, type Limits } from './limits.ts';

const OPENING: ReadonlySet<TokenKind> = new Set([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L]);
const CLOSING: ReadonlySet<TokenKind> = new Set([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R]);

/**
 * Parses a document that is within the limits of tokens, lines and nesting. These are counted before: the parser calls itself
 * for every bracket, and 5,000 of them overflow the stack. GRAPHQL_VALIDATION_FAILED; a syntax error has no code yet.
 */
export function parseWithin(query: string, limits: Limits = DEFAULT_LIMITS, options: ParseOptions = {}): DocumentNode {
  const lexer = new Lexer(new Source(query));
  let tokens = 0;
  let open = 0;
  for (let { kind } = lexer.advance(); ; { kind } = lexer.advance()) {
    if (lexer.line > limits.lines) throw beyondLimit('lines', `The document has more than ${limits.lines} lines`);
    if (kind === TokenKind.EOF) break;
    if (++tokens > limits.tokens) throw beyondLimit('tokens', `The document has more than ${limits.tokens} tokens`);
    if (OPENING.has(kind) && ++open > limits.nesting) throw beyondLimit('nesting', `The document is more than ${limits.nesting} brackets deep`);
    if (CLOSING.has(kind)) open -= 1;
  }
  return parse(query, options);
}

const containers = (values: readonly unknown[]): object[] => values.filter((value) => typeof value === 'object' && value !== null);

/** Refuses variables that are nested too deeply to be handled without overflowing a stack. BAD_USER_INPUT. */
export function refuseDeepVariables(variables: unknown, limits: Limits = DEFAULT_LIMITS): void {
  let level = containers([variables]);
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > limits.nesting) {
      throw new GraphQLError(`The variables are more than ${limits.nesting} brackets deep (limit "nesting").`, {
        extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } },
      });
    }
    level = level.flatMap((value) => containers(Object.values(value)));
  }
}
