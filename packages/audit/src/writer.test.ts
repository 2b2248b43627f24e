import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { createWriter, type Line } from './writer.ts';

const line = (id: string, key?: string): Line => ({ id, ended: true, entry: {}, ...(key === undefined ? {} : { key, origin: 'somebody' }) });
const fault = (code: string) => Object.assign(new Error('a fault'), { code });

/** Keeps what is written; `refuse`: what a write fails with. */
function start({ isPatient = true, refuse = () => null }: { isPatient?: boolean; refuse?: (lines: readonly Line[], attempt: number) => Error | null } = {}) {
  const batches: Line[][] = [];
  const errors: { msg: string }[] = [];
  let attempt = 0;
  const logger = pino({ level: 'error' }, { write: (text: string) => void errors.push(JSON.parse(text)) });
  const write = async (lines: readonly Line[]) => {
    const error = refuse(lines, (attempt += 1));
    if (error) throw error;
    batches.push(lines.map((one) => ({ ...one })));
  };
  const writer = createWriter({ write, isPatient, logger });
  return { writer, batches, errors, ids: () => batches.flat().map(({ id }) => id) };
}

describe('a writer', () => {
  it('writes in batches what comes together, in its order', async () => {
    const { writer, batches } = start();
    await Promise.all(Array.from({ length: 450 }, (_, at) => writer.add(line(String(at)))));
    expect(batches.map((batch) => batch.length)).toEqual([200, 200, 50]);
    expect(batches.flat().map(({ id }) => Number(id))).toEqual(Array.from({ length: 450 }, (_, at) => at));
  });

  it('counts what is alike and may be counted', async () => {
    const { writer, batches } = start();
    for (let time = 0; time < 1_000; time += 1) writer.post(line(`joins ${time}`, 'one'), { joins: true });
    writer.post(line('joins', 'other'), { joins: true });
    writer.post(line('alone', 'one'));
    await writer.close();
    expect(batches).toMatchObject([[{ id: 'joins 0', count: 1_000 }, { id: 'joins' }, { id: 'alone' }]]);
  });

  it('tries again what nobody waits for, until the database is back', async () => {
    const { writer, ids } = start({ refuse: (_lines, attempt) => (attempt === 1 ? fault('57P01') : attempt === 2 ? fault('53100') : null) });
    writer.post(line('patient'));
    await new Promise<void>((resolve) => writer.add(line('after')).then(resolve));
    expect(ids()).toEqual(['patient', 'after']);
    await writer.close();
  });

  it('says at once what somebody waits for and can not be written', async () => {
    const { writer } = start({ isPatient: false, refuse: () => fault('57P01') });
    await expect(writer.add(line('impatient'))).rejects.toMatchObject({ code: '57P01' });
  });

  it('leaves out what PostgreSQL refuses, and nothing else', async () => {
    const { writer, ids, errors } = start({ refuse: (lines) => (lines.some(({ id }) => id === 'bad') ? fault('22P05') : null) });
    for (const id of ['a', 'bad', 'b']) writer.post(line(id));
    await writer.close();
    expect(ids().toSorted()).toEqual(['a', 'b']);
    expect(errors).toHaveLength(1);
  });

  it('gives up when it is closed and the database is away', async () => {
    const { writer, errors } = start({ refuse: () => fault('57P01') });
    writer.post(line('lost'));
    await writer.close();
    expect(errors).toMatchObject([{ entries: 1 }]);
  });

  it('keeps no more than fits', async () => {
    const { writer, ids, errors } = start();
    for (let at = 0; at < 21_000; at += 1) writer.post(line(String(at)));
    await writer.close();
    expect(ids()).toHaveLength(20_000);
    expect(errors).toHaveLength(1);
  });
});
