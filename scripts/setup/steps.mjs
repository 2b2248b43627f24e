import { spawn } from 'node:child_process';

/** Says what is done and how long it took; true when it worked. */
export async function step(description, work) {
  const started = Date.now();
  const seconds = () => ((Date.now() - started) / 1000).toFixed(1);
  console.log(`- ${description}`);
  const pulse = setInterval(() => console.log(`  ... ${Math.round(Number(seconds()))} s`), 15_000);
  try {
    await work();
    console.log(`  done in ${seconds()} s`);
    return true;
  } catch (error) {
    console.error(`  failed after ${seconds()} s: ${error.message}`);
    return false;
  } finally {
    clearInterval(pulse);
  }
}

/** Runs a program; what it printed is shown only when it fails. */
export function run(command, args, { cwd, env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk) => {
      output = `${output}${chunk}`.slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => reject(new Error(`${command} could not be started: ${error.message}`)));
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(output);
      if (output.trim()) console.error(output.trimEnd().replace(/^/gm, '  | '));
      reject(new Error(`${command} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}
