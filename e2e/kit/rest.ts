import type { Loose } from './client.ts';

export interface RestAnswer {
  status: number;
  headers: Headers;
  body: Loose;
}

/** The REST API, as one person sees it; `path` is the whole one. */
export async function rest(url: string, token: string | null, method: string, path: string, body?: object): Promise<RestAnswer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? {} : (JSON.parse(text) as Loose) };
}
