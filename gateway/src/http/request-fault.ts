import { GraphQLError } from 'graphql';

/** A request over HTTP that is refused before its document is looked at, whatever media type the client takes. BAD_REQUEST. */
export class RequestFault extends GraphQLError {
  readonly status: number;
  /** What the answer says besides, as `allow`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message, { extensions: { code: 'BAD_REQUEST' } });
    this.status = status;
    this.headers = headers;
  }
}
