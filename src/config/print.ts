/**
 * Settings → YAML in the full dialect, with every directive and its value (`-T`).
 * Values that were not written but are defaults are marked so. Loading the text again gives the
 * same settings.
 */
import type { AnyDirective } from './directives.js';
import { directivesOf } from './directives.js';
import type { Lines, Settings } from './settings.js';

export function printSettings(settings: Settings): string {
  const lines = [`# ${settings.file}, fully resolved`.replace(/[\r\n]/g, ' '), 'global:'];
  for (const directive of directivesOf('global')) {
    lines.push(...printDirective(directive, settings.global, settings.global.lines, '  '));
  }
  lines.push('', 'pools:');
  settings.pools.forEach((pool, index) => {
    if (index > 0) lines.push('');
    lines.push(`  ${quoteYaml(pool.name)}:`);
    for (const directive of directivesOf('pool')) {
      lines.push(...printDirective(directive, pool, pool.lines, '    '));
    }
  });
  return `${lines.join('\n')}\n`;
}

function printDirective(
  { name, field, type }: AnyDirective, values: object, written: Lines, indent: string,
): string[] {
  const value = (values as { [field: string]: unknown })[field];
  if (type.kind === 'list') {
    const items = (value as unknown[]).map((item) => quoteYaml(type.printItem(item)));
    return [`${indent}${name}:`, ...items.map((item) => `${indent}  - ${item}`)];
  }
  const line = `${indent}${name}: ${quoteYaml(type.print(value))}`;
  return [Object.hasOwn(written, name) ? line : `${line}  # default`];
}

/** What needs no quotes; `: ` and ` #` cannot occur in it. */
const PLAIN = /^[A-Za-z0-9/_][A-Za-z0-9/_.,+-]*(?:[ :][A-Za-z0-9/_.,+-]+)*$/;

/** A scalar that is read as exactly this text, on one line: plain when safe, else quoted. */
export function quoteYaml(text: string): string {
  if (PLAIN.test(text)) return text;
  return JSON.stringify(text).replace(/[\u007f-\u00a0\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
