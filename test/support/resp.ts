/**
 * RESP2 and RESP3 as tests see it: requests to bytes, bytes to replies that keep their bytes.
 *
 * Nothing here is shared with the product: a mistake in its framing must not hide in ours.
 */

export type Argument = string | number | Buffer;

/** A request as an array of bulk strings. Strings are UTF-8. */
export function encode(args: readonly Argument[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}

/** What a reply means, for comparisons: errors stay recognisable, maps become lists of pairs. */
export type Plain = string | number | boolean | null | Plain[] | { error: string };

export interface Reply {
  readonly type: string;            // the first byte: + - : $ * _ # , ( ! = % ~ > |
  readonly raw: Buffer;             // the exact bytes
  readonly bytes: Buffer | null;    // payload of a leaf; null for RESP2's nulls and for aggregates
  readonly items: readonly Reply[]; // of an aggregate; a map's keys and values in turn
}

const CR = 13;

/** Thrown when the bytes cannot be RESP. */
export class BadReply extends Error {}

interface Cursor {
  readonly buffer: Buffer;
  at: number;
  need: number; // bytes the buffer must hold before another try can succeed
}

function readLine(cursor: Cursor): string | null {
  const end = cursor.buffer.indexOf('\r\n', cursor.at);
  if (end < 0) {
    cursor.need = cursor.buffer.length + 1;
    return null;
  }
  const line = cursor.buffer.toString('latin1', cursor.at, end);
  cursor.at = end + 2;
  return line;
}

function readBlob(cursor: Cursor, type: string, start: number, length: number): Reply | null {
  const end = cursor.at + length + 2;
  if (cursor.buffer.length < end) {
    cursor.need = end;
    return null;
  }
  if (cursor.buffer[end - 2] !== CR) throw new BadReply(`no CR after ${length} bytes of ${type}`);
  const bytes = cursor.buffer.subarray(cursor.at, cursor.at + length);
  cursor.at = end;
  return { type, raw: cursor.buffer.subarray(start, end), bytes, items: [] };
}

function readLength(line: string): number {
  if (!/^-?\d+$/.test(line)) throw new BadReply(`bad length ${JSON.stringify(line)}`);
  return Number(line);
}

function readReply(cursor: Cursor): Reply | null {
  const start = cursor.at;
  const line = readLine(cursor);
  if (line === null) return null;
  const type = line.charAt(0);
  const rest = line.slice(1);
  const leaf = (bytes: Buffer | null): Reply =>
    ({ type, raw: cursor.buffer.subarray(start, cursor.at), bytes, items: [] });
  if (type !== '' && '+-:_#,('.includes(type)) return leaf(Buffer.from(rest, 'latin1'));
  if (type !== '' && '$!='.includes(type)) {
    const length = readLength(rest);
    return length < 0 ? leaf(null) : readBlob(cursor, type, start, length);
  }
  if (type === '' || !'*%~>|'.includes(type)) {
    throw new BadReply(`no reply begins with ${JSON.stringify(line.slice(0, 60))}`);
  }
  const length = readLength(rest);
  if (length < 0) return leaf(null);
  const items: Reply[] = [];
  const count = type === '%' || type === '|' ? length * 2 : length;
  while (items.length < count) {
    const item = readReply(cursor);
    if (item === null) return null;
    items.push(item);
  }
  return { type, raw: cursor.buffer.subarray(start, cursor.at), bytes: null, items };
}

/** Cuts a stream of bytes into replies. Big values are copied once, not once per arrival. */
export class ReplyParser {
  #parts: Buffer[] = [];
  #held = 0;
  #need = 1;

  push(bytes: Buffer): Reply[] {
    this.#parts.push(bytes);
    this.#held += bytes.length;
    if (this.#held < this.#need) return [];
    const buffer = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    const cursor: Cursor = { buffer, at: 0, need: 1 };
    const replies: Reply[] = [];
    let done = 0;
    while (done < buffer.length) {
      const reply = readReply(cursor);
      if (reply === null) break;
      replies.push(reply);
      done = cursor.at;
    }
    this.#parts = done === buffer.length ? [] : [buffer.subarray(done)];
    this.#held = buffer.length - done;
    this.#need = Math.max(1, cursor.need - done);
    return replies;
  }

  /** Bytes that do not make a whole reply yet. */
  get rest(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Parses bytes that are exactly one reply. */
export function parseReply(bytes: Buffer | string): Reply {
  const parser = new ReplyParser();
  const replies = parser.push(Buffer.from(bytes));
  if (replies.length !== 1 || parser.rest.length > 0) {
    throw new BadReply(`not one whole reply: ${show(Buffer.from(bytes))}`);
  }
  return replies[0]!;
}

/** The reply's meaning. Bulk strings become latin1 text, so that no byte is lost. */
export function plain(reply: Reply): Plain {
  const text = reply.bytes?.toString('latin1') ?? null;
  switch (reply.type) {
    case '-': case '!': return { error: text ?? '' };
    case ':': return Number(text);
    case ',': return Number(text === 'inf' ? Infinity : text === '-inf' ? -Infinity : text);
    case '_': return null;
    case '#': return text === 't';
    case '*': case '%': case '~': case '>': case '|':
      return reply.raw[1] === 0x2d ? null : reply.items.map(plain);
    default: return text;
  }
}

/** The text of an error reply; for any other reply, a text that says so. */
export function errorText(reply: Reply): string {
  if (reply.type === '-' || reply.type === '!') return reply.bytes?.toString('latin1') ?? '';
  return `not an error: ${show(reply.raw)}`;
}

const SHOWN_BYTES = 200;

/** Bytes as a failure message shows them. */
export function show(bytes: Buffer): string {
  const text = JSON.stringify(bytes.subarray(0, SHOWN_BYTES).toString('latin1'));
  return bytes.length > SHOWN_BYTES ? `${text}… (${bytes.length} bytes)` : text;
}
