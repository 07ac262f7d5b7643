/**
 * Writes what follows from layout.ts and codes.ts:
 *   src/tables/columns.gen.ts   const enums: the index of each column within a row
 *   native/layout.gen.h         the same as structs with static_asserts, and every shared code
 * Both are committed; a test runs this again and compares. `npm run generate` writes them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { HISTOGRAM_BUCKETS } from './counter-tables.js';
import { CHUNK_BYTES, LANE_GUARD, LANES_MAX, NODE_CHUNKS, RELAY_PLACES, tables } from './layout.js';
import { RING_SLOTS } from './ring-tables.js';
import { columnBytes, schemaHash, type Column, type Table } from './schema.js';

const root = new URL('../../../', import.meta.url);

export const outputs: Record<string, () => string> = {
  'src/tables/columns.gen.ts': columnsText,
  'native/layout.gen.h': headerText,
};

/** i32 columns are indexed in words, f64 columns in doubles, u64 and u8 columns in bytes. */
function columnsText(): string {
  const enums = tables.map((each) => {
    const members = each.columns.map(
      (column) => `  ${pascal(column.name)} = ${indexOf(column)}, // ${column.type}: ${column.doc}`,
    );
    return `/** ${each.doc} */\nexport const enum ${pascal(each.name)} {\n${members.join('\n')}\n  RowWords = ${each.rowBytes / 4},\n  RowDoubles = ${each.rowBytes / 8},\n  RowBytes = ${each.rowBytes},\n}\n`;
  });
  const numbers = tables.map((each, index) => `  ${pascal(each.name)} = ${index},`).join('\n');
  return `// Written by src/shm/generate.ts from src/shm/layout.ts: change that, then \`npm run generate\`.\n\n/** A table's number: its place in the list of bases that C++ is given. */\nexport const enum TableNumber {\n${numbers}\n  Count = ${tables.length},\n}\n\nexport const SCHEMA_HASH = ${schemaHash(tables)};\n\n${enums.join('\n')}`;
}

function headerText(): string {
  return [
    '// Written by src/shm/generate.ts from src/shm/layout.ts and src/shm/codes.ts: change those, then `npm run generate`.',
    '#pragma once',
    '#include <cstddef>',
    '#include <cstdint>',
    '',
    'namespace baton {',
    '',
    `inline constexpr int32_t kSchemaHash = ${schemaHash(tables)};`,
    `inline constexpr int32_t kChunkBytes = ${CHUNK_BYTES};`,
    `inline constexpr int32_t kNodeChunks = ${NODE_CHUNKS};`,
    `inline constexpr int32_t kRingSlots = ${RING_SLOTS};`,
    `inline constexpr int32_t kLaneGuard = ${LANE_GUARD};`,
    `inline constexpr int32_t kLanesMax = ${LANES_MAX};`,
    `inline constexpr int32_t kRelayPlaces = ${RELAY_PLACES};`,
    `inline constexpr int32_t kHistogramBuckets = ${HISTOGRAM_BUCKETS};`,
    '',
    `enum class TableNumber : int32_t { ${tables.map((each) => pascal(each.name)).join(', ')}, Count };`,
    '',
    codesText(),
    ...tables.map(structText),
    '}  // namespace baton',
    '',
  ].join('\n');
}

function structText(each: Table): string {
  const type = { i32: 'int32_t', f64: 'double', u64: 'uint64_t', u8: 'uint8_t' };
  const name = each.name === 'lane' ? 'LaneRow' : pascal(each.name); // Lane is the class that runs it
  const fields = each.columns.map(
    (column) =>
      `  ${type[column.type]} ${safe(column.name)}${column.count > 1 ? `[${column.count}]` : ''};  // ${column.doc}`,
  );
  const asserts = each.columns.map(
    (column) => `static_assert(offsetof(${name}, ${safe(column.name)}) == ${column.offset});`,
  );
  return `// ${each.doc}\nstruct alignas(8) ${name} {\n${fields.join('\n')}\n${padding(each)}};\n${asserts.join('\n')}\nstatic_assert(sizeof(${name}) == ${each.rowBytes});\n`;
}

function padding(each: Table): string {
  const last = each.columns[each.columns.length - 1];
  const used = last === undefined ? 0 : last.offset + columnBytes(last);
  return used < each.rowBytes ? `  uint8_t spare_[${each.rowBytes - used}];\n` : '';
}

/** Copies `export const enum` blocks; comments stay behind in codes.ts, which is the place to read. */
function codesText(): string {
  const text = readFileSync(new URL('src/shm/codes.ts', root), 'utf8').replace(
    /\/\*[\s\S]*?\*\/|\/\/.*$/gm,
    '',
  );
  const blocks = [...text.matchAll(/export const enum (\w+) \{([^}]*)\}/g)];
  return blocks
    .map(([, name, body]) => `enum ${name}_ : int32_t {\n${membersText(name!, body!)}};\n`)
    .join('\n');
}

function membersText(name: string, body: string): string {
  return body
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
    .map((member) => `  k${name}${member},\n`)
    .join('');
}

function indexOf(column: Column): number {
  if (column.type === 'i32') return column.offset / 4;
  return column.type === 'f64' ? column.offset / 8 : column.offset;
}

function pascal(name: string): string {
  return name.replace(/(^|_)(\w)/g, (_, __, letter: string) => letter.toUpperCase());
}

function safe(name: string): string {
  return name === 'class' || name === 'lane' || name === 'inline' ? `${name}_` : name;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of Object.entries(outputs)) writeFileSync(new URL(path, root), text());
}
