/**
 * conf/ is the manual: its files load without a warning, and reference.yml tells of every
 * directive what the table of directives says, with its default as the value.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { AnyDirective } from '../../../src/config/directives.js';
import { directivesOf, printFallback, REQUIRED } from '../../../src/config/directives.js';
import { loadSettings } from '../../../src/config/load.js';
import { printSettings } from '../../../src/config/print.js';

const CONF = fileURLToPath(new URL('../../../../conf/', import.meta.url));

for (const name of readdirSync(CONF).filter((name) => name.endsWith('.yml'))) {
  t.test(`conf/${name} loads`, (t) => {
    t.strictSame(loadSettings(CONF + name).warnings, []);
    t.end();
  });
}

t.test('conf/baton.yml is the proxy that npm start promises', (t) => {
  const { global, pools } = loadSettings(`${CONF}baton.yml`).settings;
  t.equal(pools.length, 1);
  t.match(pools[0], { listen: { host: '127.0.0.1', port: 6380 }, redis: true });
  t.strictSame(pools[0].servers.map(({ address }) => address.text),
    ['127.0.0.1:6391', '127.0.0.1:6392', '127.0.0.1:6393']);
  t.ok(global.stats);
  t.ok(global.metrics);
  t.end();
});

/** The comment above each `name:` line, as one line of text, by scope and name. */
function commentsOf(text: string): Map<string, string> {
  const comments = new Map<string, string>();
  let scope = '';
  let comment: string[] = [];
  for (const line of text.split('\n')) {
    const key = /^( *)([a-z_]+):/.exec(line);
    if (line.trimStart().startsWith('#')) {
      comment.push(line.trim().replace(/^#\s*/, ''));
      continue;
    }
    if (key !== null && key[1] === '') scope = key[2] === 'pools' ? 'pool' : 'global';
    else if (key !== null) comments.set(`${scope} ${key[2]}`, comment.join(' '));
    comment = [];
  }
  return comments;
}

function explanationOf({ doc, type, reload, ...directive }: AnyDirective): string {
  const fallback = printFallback({ doc, type, reload, ...directive });
  return `${doc} Unit: ${type.unit}. Range: ${type.range}. Default: ${fallback}. ` +
    `Reload: ${reload ? 'applied' : 'needs a restart'}.`;
}

t.test('conf/reference.yml explains every directive', (t) => {
  const comments = commentsOf(readFileSync(`${CONF}reference.yml`, 'utf8'));
  for (const directive of [...directivesOf('global'), ...directivesOf('pool')]) {
    t.equal(comments.get(`${directive.scope} ${directive.name}`), explanationOf(directive));
  }
  t.end();
});

t.test('conf/reference.yml gives every directive its default', (t) => {
  const { settings } = loadSettings(`${CONF}reference.yml`);
  t.notMatch(printSettings(settings), /# default/, 'all are written');
  const scopes = { global: settings.global, pool: settings.pools[0] };
  for (const directive of [...directivesOf('global'), ...directivesOf('pool')]) {
    const { scope, name, field, fallback } = directive;
    if (fallback === REQUIRED || name === 'redis') continue;
    const values = scopes[scope] as unknown as { [field: string]: unknown };
    t.strictSame(values[field], fallback, name);
  }
  t.end();
});
