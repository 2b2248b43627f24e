import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { checkBootPath, resolveBootFiles } from './boot-files.ts';

const top = mkdtempSync(join(tmpdir(), 'boot-files-'));
const boot = join(top, 'boot');
mkdirSync(join(boot, 'deep'), { recursive: true });
for (const file of ['boot/vmlinuz', 'boot/deep/initrd', 'secret', 'boot-not/x']) {
  mkdirSync(join(top, file, '..'), { recursive: true });
  writeFileSync(join(top, file), 'x');
}
symlinkSync(join(top, 'secret'), join(boot, 'link-out'));
symlinkSync(join(boot, 'vmlinuz'), join(boot, 'link-in'));
symlinkSync(top, join(boot, 'up'));
symlinkSync(boot, join(top, 'boot-link'));
afterAll(() => rmSync(top, { recursive: true }));

const resolve = (kernel: string, initrd: string | null = null, directories = [boot]) => resolveBootFiles({ kernel, initrd, cmdline: null }, directories);
const fault = (field: string) => expect.objectContaining({ code: 'BAD_USER_INPUT', field });

describe('boot files', () => {
  it('are resolved below the allowed directories', async () => {
    expect(await resolve(join(boot, 'vmlinuz'), join(boot, 'deep/initrd'))).toEqual({
      kernel: join(boot, 'vmlinuz'),
      initrd: join(boot, 'deep/initrd'),
      cmdline: null,
    });
    expect((await resolve(join(boot, 'link-in'))).kernel).toBe(join(boot, 'vmlinuz'));
    expect((await resolve(join(boot, 'deep/../vmlinuz'))).kernel).toBe(join(boot, 'vmlinuz'));
  });

  it('may lie behind an allowed directory that is a link itself', async () => {
    expect((await resolve(join(top, 'boot-link/vmlinuz'), null, [join(top, 'boot-link')])).kernel).toBe(join(boot, 'vmlinuz'));
  });

  it.each(['link-out', 'up/secret', 'missing', 'deep'])('on the host: %s is refused', async (name) => {
    await expect(resolve(join(boot, name))).rejects.toThrow(fault('kernel.kernel'));
    await expect(resolve(join(boot, 'vmlinuz'), join(boot, name))).rejects.toThrow(fault('kernel.initrd'));
  });

  it.each(['vmlinuz', '', '/etc/passwd', `${boot}/../secret`, `${boot}-not/x`, boot, `${boot}/a\u0000b`])('as it is written: %j is refused', (path) => {
    expect(() => checkBootPath(path, 'kernel.kernel', [boot])).toThrow(fault('kernel.kernel'));
  });
});
