/**
 * Writes RESP replies that the proxy makes itself, in the protocol version of the session.
 * Types that RESP2 lacks take the form in which Redis sends them there: a map is a flat array,
 * a set an array, null an empty bulk of length -1, a double or verbatim text a bulk, true is 1.
 *
 * Speed of the control plane: replies of the request path are moved by the addon, not made here.
 */

/** RESP version of a session. */
export type Protocol = 2 | 3;

/** Payloads from this size on are not copied into the text that is being built. */
const LARGE_BYTES = 4096;

export class ReplyWriter {
  readonly protocol: Protocol;
  readonly #parts: Buffer[] = [];
  #text = '';  // latin1: one char, one byte

  constructor(protocol: Protocol) {
    this.protocol = protocol;
  }

  /** `+text`; the text has no line end. */
  simple(text: string): this {
    return this.#line('+', text);
  }

  /** `-text`; the text begins with its code and has no line end. Bytes ≥ 0x80 go out as latin1. */
  error(text: string): this {
    return this.#line('-', text);
  }

  /** A safe integer. */
  integer(value: number): this {
    return this.#line(':', String(value));
  }

  bulk(payload: Uint8Array | string): this {
    return this.#blob('$', '', payload);
  }

  null(): this {
    this.#text += this.protocol === 3 ? '_\r\n' : '$-1\r\n';
    return this;
  }

  /** Head of an array: `count` replies follow. */
  array(count: number): this {
    return this.#line('*', String(count));
  }

  /** Head of a map: `count` pairs, that is twice as many replies, follow. */
  map(count: number): this {
    return this.protocol === 3 ? this.#line('%', String(count)) : this.array(2 * count);
  }

  /** Head of a set: `count` replies follow. */
  set(count: number): this {
    return this.#line(this.protocol === 3 ? '~' : '*', String(count));
  }

  double(value: number): this {
    const text = doubleText(value);
    return this.protocol === 3 ? this.#line(',', text) : this.bulk(text);
  }

  boolean(value: boolean): this {
    return this.protocol === 3 ? this.#line('#', value ? 't' : 'f') : this.integer(Number(value));
  }

  /** Text for people: INFO, CLIENT LIST. */
  verbatim(text: string): this {
    return this.protocol === 3 ? this.#blob('=', 'txt:', text) : this.bulk(text);
  }

  /** An integer of any size, as decimal digits. */
  bigNumber(digits: string): this {
    return this.protocol === 3 ? this.#line('(', digits) : this.bulk(digits);
  }

  /** Bulks in an array. */
  bulks(payloads: readonly (Uint8Array | string)[]): this {
    this.array(payloads.length);
    for (const payload of payloads) this.bulk(payload);
    return this;
  }

  /** A reply that was made before, in the same protocol. */
  raw(bytes: Buffer): this {
    this.#flush();
    this.#parts.push(bytes);
    return this;
  }

  /** The bytes of everything written so far. */
  finish(): Buffer {
    this.#flush();
    return this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
  }

  #line(type: string, text: string): this {
    this.#text += `${type}${text}\r\n`;
    return this;
  }

  #blob(type: string, prefix: string, payload: Uint8Array | string): this {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    this.#text += `${type}${prefix.length + bytes.length}\r\n${prefix}`;
    if (bytes.length < LARGE_BYTES) {
      this.#text += latin1Of(bytes);
    } else {
      this.raw(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    }
    this.#text += '\r\n';
    return this;
  }

  #flush(): void {
    if (this.#text === '') return;
    this.#parts.push(Buffer.from(this.#text, 'latin1'));
    this.#text = '';
  }
}

/** One error as bytes, ready to be sent. */
export function errorReply(text: string): Buffer {
  return Buffer.from(`-${text}\r\n`, 'latin1');
}

/** The bytes as a string of one char per byte. */
export function latin1Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return Object.is(value, -0) ? '-0' : String(value);
}
