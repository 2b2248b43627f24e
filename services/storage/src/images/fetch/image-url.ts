import { DomainError } from '@novacron/core';

/** Of a URL, in characters. */
const MOST = 2_048;

const refuse = (message: string): never => {
  throw new DomainError('BAD_USER_INPUT', message, { field: 'url' });
};

/** A URL that an image may be fetched from, as far as its text says. */
export function parseImageUrl(text: string): URL {
  if (text.length > MOST) refuse(`A URL has at most ${MOST} characters.`);
  const url = URL.canParse(text) ? new URL(text) : refuse('This is no URL.');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') refuse('An image comes from an http or https URL.');
  if (url.username !== '' || url.password !== '') refuse('A URL with a user name or a password is not taken: it would be shown to everyone who sees the image.');
  url.hash = '';
  return url;
}

/** Where a redirect leads. Never from https to http: what protected the way here would be gone. */
export function followRedirect(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href)) refuse('The server redirects to what is no URL.');
  const to = parseImageUrl(new URL(location, from).href);
  if (from.protocol === 'https:' && to.protocol !== 'https:') refuse('The server redirects from https to http.');
  return to;
}
