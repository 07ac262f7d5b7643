/**
 * npm run bench, bench:upgrade, bench:crash, bench:micro, bench:scope: builds what is not built, then runs the
 * comparison, or what lies in upgrade/, crash/, micro/ or scope/ when that is the first argument.
 *
 * A build that fails because only the addon or a header is missing still leaves the other parties
 * measurable, therefore the compiled program decides, not the build's exit code.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const build = fileURLToPath(new URL('../scripts/build.mjs', import.meta.url));
const folder = ['upgrade', 'crash', 'micro', 'scope'].find((each) => each === process.argv[2]);
if (folder !== undefined) process.argv.splice(2, 1); // the program sees options only
const name = folder === undefined ? 'run' : `${folder}/run`;
const program = new URL(`../dist/bench/${name}.js`, import.meta.url);

if (existsSync(build)) {
  const { status } = spawnSync(process.execPath, [build], { stdio: ['ignore', 2, 2] });
  if (status !== 0) process.stderr.write('bench: the build failed; measuring what is there\n');
}
if (existsSync(program)) {
  await import(program.href);
} else {
  process.stderr.write(`bench: dist/bench/${name}.js is missing: run npm run build\n`);
  process.exitCode = 1;
}
