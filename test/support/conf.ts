/**
 * Configuration files for tests, from small objects: { alpha: { listen: …, servers: […] } }.
 * Values are written as they are; a string that YAML would misread must come with its quotes.
 */
export type Value = string | number | boolean;
export type Directives = { [directive: string]: Value | readonly Value[] };

function lines(directives: Directives, indent: string): string[] {
  return Object.entries(directives).flatMap(([name, value]) => {
    if (!Array.isArray(value)) return [`${indent}${name}: ${String(value)}`];
    return [`${indent}${name}:`, ...value.map((item) => `${indent} - ${String(item)}`)];
  });
}

/** The full form: global directives and pools. */
export function fullConf(global: Directives, pools: { [name: string]: Directives }): string {
  const text = ['global:', ...lines(global, '  '), 'pools:'];
  for (const [name, pool] of Object.entries(pools)) text.push(`  ${name}:`, ...lines(pool, '    '));
  return `${text.join('\n')}\n`;
}

/** twemproxy's form: pools at the top. */
export function poolsConf(pools: { [name: string]: Directives }): string {
  const text = [];
  for (const [name, pool] of Object.entries(pools)) text.push(`${name}:`, ...lines(pool, '  '));
  return `${text.join('\n')}\n`;
}
