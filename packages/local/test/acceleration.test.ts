import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guest, testRun } from '@novacron/testkit';
import { expect, test } from 'vitest';
import { proveAcceleration } from '../src/acceleration.ts';

const newDir = async (): Promise<string> => (await testRun()).makeDirectory('acceleration');

test('a processor without vmx and svm proves that there is none', async () => {
  const answer = await proveAcceleration({ dir: await newDir(), cpuInfo: 'flags\t\t: fpu sse2\n' });
  expect(answer).toEqual({ accelerated: false, reason: 'The processor shows neither vmx nor svm.' });
});

test('a kernel that prints its first line is the proof, and the answer is kept', async () => {
  const dir = await newDir();
  const { kernel } = await guest();
  const answer = await proveAcceleration({ dir, accelerator: 'tcg', kernels: ['/no/such/kernel', kernel], timeoutMs: 30_000 });
  expect(answer).toMatchObject({ accelerated: true, reason: expect.stringContaining('Linux version') as string });
  expect(await proveAcceleration({ dir, accelerator: 'tcg', kernels: [] })).toEqual(answer);
});

test('a kernel that prints nothing proves nothing', async () => {
  const dir = await newDir();
  const mute = join(dir, 'kernel');
  writeFileSync(mute, 'not a kernel');
  const answer = await proveAcceleration({ dir, accelerator: 'tcg', kernels: [mute], timeoutMs: 500 });
  expect(answer).toEqual({ accelerated: false, reason: 'A kernel printed nothing within 0.5 s under tcg.' });
});

test('an answer from an earlier boot of the machine does not count', async () => {
  const dir = await newDir();
  writeFileSync(join(dir, 'acceleration.json'), JSON.stringify({ bootId: 'earlier', accelerated: true, reason: 'then' }));
  expect(await proveAcceleration({ dir, accelerator: 'tcg', kernels: [] })).toEqual({
    accelerated: false,
    reason: 'There is no readable kernel in /boot to prove acceleration with.',
  });
});
