const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&apos;', '"': '&quot;' };

/** Text as it may stand in XML, also between quotes. */
export const text = (value: string): string => value.replace(/[&<>'"]/g, (character) => ENTITIES[character] ?? character);
