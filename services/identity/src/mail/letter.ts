/** How every mail looks: the templates say what is in it, and this is the one place where that becomes HTML or text. */
export interface Letter {
  subject: string;
  paragraphs: readonly string[];
  /** What it is about, line by line; without a value, a line is left out. */
  facts?: readonly (readonly [name: string, value: string | null])[];
  /** What to follow, once. */
  link?: { label: string; url: string };
  /** What comes after the link. */
  after?: readonly string[];
}

export interface RenderedLetter {
  subject: string;
  text: string;
  html: string;
}

const SIGNATURE = 'Sent by NovaCron. Answers to this address are not read.';

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** For element content and quoted attributes alike. */
const escape = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);

/**
 * Text that somebody else chose, such as a name or a User-Agent: on one line, and nothing in it that a mail program makes a link
 * of. What people read in our mails must not be a stranger's to write.
 */
export function unlinked(text: string): string {
  return text
    .replaceAll(/\p{C}+/gu, ' ')
    .replaceAll('://', ' ')
    .replaceAll(/(?<=[\p{L}\p{N}-])\.(?=\p{L})/gu, ' ')
    .replaceAll('@', ' at ')
    .slice(0, 255);
}

export function renderLetter({ subject, paragraphs, facts = [], link, after = [] }: Letter): RenderedLetter {
  const known = facts.flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));
  const text = [
    ...paragraphs,
    ...(known.length === 0 ? [] : [known.map(([name, value]) => `${name}: ${value}`).join('\n')]),
    ...(link === undefined ? [] : [`${link.label}:\n${link.url}`]),
    ...after,
    `-- \n${SIGNATURE}\n`,
  ].join('\n\n');
  const paragraph = (content: string): string => `<p style="margin:0 0 16px">${content}</p>`;
  const html = [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8"><title>${escape(subject)}</title></head>`,
    '<body style="margin:0;padding:24px;background:#f4f5f7"><div style="max-width:560px;margin:0 auto;padding:24px;background:#fff;color:#1c2128;font:16px/1.5 sans-serif">',
    ...paragraphs.map((one) => paragraph(escape(one))),
    ...(known.length === 0 ? [] : [`<table style="margin:0 0 16px">${known.map(([name, value]) => `<tr><td style="padding:0 16px 0 0;color:#59636e">${escape(name)}</td><td>${escape(value)}</td></tr>`).join('')}</table>`]),
    ...(link === undefined
      ? []
      : [
          paragraph(`<a href="${escape(link.url)}" style="display:inline-block;padding:8px 16px;border-radius:6px;background:#0a58ca;color:#fff;text-decoration:none">${escape(link.label)}</a>`),
          paragraph(`Or open this address: <br><span style="word-break:break-all">${escape(link.url)}</span>`),
        ]),
    ...after.map((one) => paragraph(escape(one))),
    `<p style="margin:24px 0 0;color:#59636e;font-size:13px">${SIGNATURE}</p>`,
    '</div></body></html>\n',
  ].join('\n');
  return { subject, text, html };
}
