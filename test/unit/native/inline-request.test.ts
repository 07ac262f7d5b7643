/**
 * native/inline-request.h against what Redis makes of a typed line (sdssplitargs), told here as
 * regular expressions:
 *
 *   line      blanks (argument blanks)*        blanks: isspace() of C
 *   argument  plain* quoted?                   plain ends at space, tab, CR, LF or a quote
 *   quoted    "…" with \xHH and \n-like escapes, or '…' with \' alone; blank or end must follow
 *
 * A line with a zero byte never gets that far in Redis; here it must only do no harm.
 */
import t from 'tap';
import { CppProgram } from '../../support/cpp-program.js';
import { dice } from '../../support/seed.js';

const ROOM_TO_SPARE = 64; // bytes that must be free behind the rewritten request
const UNBALANCED = -1;
const NO_ROOM = -2;

const BLANKS = /[ \t\n\v\f\r]*/y;
const PLAIN = /([^ \t\n\r"']*)/;
const DOUBLE = /"((?:\\[^]|[^"\\])*)"/;
const SINGLE = /'((?:\\'|[^'\\]|\\(?!'))*)'/;
const END = /(?=[ \t\n\v\f\r]|$)/;
const ARGUMENT = new RegExp(
  `${PLAIN.source}(?:${DOUBLE.source}${END.source}|${SINGLE.source}${END.source})?`, 'y',
);
const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|([^]))/g;
const NAMED: { [letter: string]: string } = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };

/** The arguments, null when quotes do not balance. Characters are bytes. */
function split(line: string): string[] | null {
  const found = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray => {
    pattern.lastIndex = at;
    const match = pattern.exec(line)!;
    at += match[0].length;
    return match;
  };
  take(BLANKS);
  while (at < line.length) {
    const [, plain, double, single] = take(ARGUMENT);
    if (line[at] === '"' || line[at] === "'") return null; // never closed, or closed too early
    const escaped = double?.replace(ESCAPE, (_, hex?: string, letter?: string) =>
      hex === undefined ? NAMED[letter!] ?? letter! : String.fromCharCode(parseInt(hex, 16)));
    found.push(plain + (escaped ?? single?.replaceAll("\\'", "'") ?? ''));
    take(BLANKS);
  }
  return found;
}

function multibulk(values: readonly string[]): string {
  return `*${values.length}\r\n${values.map((each) => `$${each.length}\r\n${each}\r\n`).join('')}`;
}

interface Ask {
  readonly line: string;
  readonly room: number;
}

const program = CppProgram.compile(t, 'test/native/inline-request.cc');

function rewrite(asks: readonly Ask[]): { code: number; text: string }[] {
  const hex = (text: string) => Buffer.from(text, 'latin1').toString('hex');
  const input = asks.map(({ line, room }) => `${room} ${hex(line)}\n`).join('');
  const { code, out, err } = program.run([], input);
  t.equal(code, 0, 'the program ends well', { stderr: err.slice(0, 2000) });
  return out.trimEnd().split('\n').map((row) => {
    const [number, bytes] = row.split(' ');
    return { code: Number(number), text: Buffer.from(bytes ?? '', 'hex').toString('latin1') };
  });
}

/** What must come of a line in a room. */
function expected({ line, room }: Ask): { code: number; text: string } {
  const values = split(line);
  if (values === null) return { code: UNBALANCED, text: '' };
  if (values.length === 0) return { code: 0, text: '' };
  const text = multibulk(values);
  const fits = text.length + ROOM_TO_SPARE <= room;
  return fits ? { code: text.length, text } : { code: NO_ROOM, text: '' };
}

const random = dice(t);
const PIECES = [
  ' ', ' ', '\t', '\v', '\f', '\r', '"', '"', "'", "'", '\\', '\\"', "\\'", '\\\\', '\\n',
  '\\x', '\\x4', '\\x41', '\\xfF', '\\xg0', '\\a\\b\\t\\r', 'a', 'key', '0', '\xff',
  '" ', "' ", ' "', " '",
] as const;

function anyLine(): string {
  let line = '';
  for (let left = random.below(14); left > 0; left -= 1) {
    line += random.below(12) === 0 ? random.bytes(3).toString('latin1') : random.pick(PIECES);
  }
  line = line.replaceAll(/[\n\0]/g, '-'); // the first ends a line, the second does in Redis
  return line + random.pick(['', '\n', '\r\n']);
}

t.test('lines as people type them', async (t) => {
  const known: [line: string, values: string[] | null][] = [
    ['', []], ['\r\n', []], [' \t\v\f \n', []],
    ['PING\r\n', ['PING']], ['  set  k\tv \n', ['set', 'k', 'v']],
    ['set k "a b"\n', ['set', 'k', 'a b']], ["set k 'a b'\n", ['set', 'k', 'a b']],
    ['set k ""\n', ['set', 'k', '']], ["set k ''\n", ['set', 'k', '']],
    ['set k "\\x00\\xff\\n\\q"\n', ['set', 'k', '\0\xff\nq']],
    ["set k '\\x00\\n\\''\n", ['set', 'k', "\\x00\\n'"]],
    ['set k a"b c"\n', ['set', 'k', 'ab c']], ['a\vb\fc\n', ['a\vb\fc']], ['"a"\vb\n', ['a', 'b']],
    ['set k "a\n', null], ["set k 'a\n", null], ['set k "a"b\n', null], ["set k 'a'b\n", null],
    ['set k "a""b"\n', null], ['"\n', null], ['"\\"\n', null], ["'\\'\n", null],
    ['a\\ b\n', ['a\\', 'b']],
  ];
  const answers = rewrite(known.map(([line]) => ({ line, room: 4096 })));
  known.forEach(([line, values], i) => {
    t.same(split(line), values, `model: ${JSON.stringify(line)}`);
    t.same(answers[i], expected({ line, room: 4096 }), JSON.stringify(line));
  });
});

t.test('random lines', async (t) => {
  const asks = Array.from({ length: 20_000 }, () => ({ line: anyLine(), room: 4096 }));
  const answers = rewrite(asks);
  const isRight = (ask: Ask, i: number) =>
    JSON.stringify(answers[i]) === JSON.stringify(expected(ask));
  const wrong = asks.filter((ask, i) => !isRight(ask, i));
  t.same(wrong.slice(0, 5).map(({ line }) => ({ line, model: split(line) })), []);
  t.equal(answers.length, asks.length);
  const codes = new Set(answers.map(({ code }) => Math.sign(code)));
  t.same(codes, new Set([-1, 0, 1]), 'some were whole, some empty, some unbalanced');
});

t.test('a room that is too small is not written to', async (t) => {
  const asks = Array.from({ length: 2000 }, (): Ask => {
    const line = anyLine();
    const whole = multibulk(split(line) ?? []).length + ROOM_TO_SPARE;
    const isNear = random.below(4) > 0;
    return { line, room: isNear ? whole + random.between(-2, 1) : random.below(whole) };
  });
  const answers = rewrite(asks);
  t.same(answers, asks.map(expected));
  t.ok(answers.some(({ code }) => code === NO_ROOM), 'some had none');
});

t.test('zeros and any other bytes do no harm', async (t) => {
  const asks = Array.from({ length: 5000 }, () => (
    { line: `${random.bytes(random.below(40)).toString('latin1')}\0 x\0\n`, room: 4096 }
  ));
  const answers = rewrite(asks);
  t.equal(answers.length, asks.length);
  const broken = answers.filter(({ code, text }) => (
    code < UNBALANCED || Math.max(code, 0) !== text.length
  ));
  t.same(broken, []);
});
