/** Reads one RESP2 or RESP3 reply into plain values; a test's own reader, not the proxy's. */

/** Maps become objects when all keys are strings; null is null; errors are { error }. */
export function decodeReply(bytes: Buffer): unknown {
  const cursor = { at: 0 };
  const value = decode(bytes, cursor);
  if (cursor.at !== bytes.length) throw new Error(`${bytes.length - cursor.at} bytes left over`);
  return value;
}

function decode(bytes: Buffer, cursor: { at: number }): unknown {
  const end = bytes.indexOf('\r\n', cursor.at);
  if (end < 0) throw new Error('line without an end');
  const type = String.fromCharCode(bytes[cursor.at]);
  const text = bytes.toString('utf8', cursor.at + 1, end);
  cursor.at = end + 2;
  const next = (): unknown => decode(bytes, cursor);
  switch (type) {
    case '+': case '(': return text;
    case '-': return { error: text };
    case ':': case ',': return Number(text);
    case '#': return text === 't';
    case '_': return null;
    case '$': case '=': {
      if (text === '-1') return null;
      const start = cursor.at;
      cursor.at += Number(text) + 2;
      return bytes.toString('utf8', start + (type === '=' ? 4 : 0), cursor.at - 2);
    }
    case '*': case '~': return Array.from({ length: Number(text) }, next);
    case '%': {
      const pairs = Array.from({ length: Number(text) }, () => [next(), next()]);
      return Object.fromEntries(pairs);
    }
    default: throw new Error(`unknown type ${type}`);
  }
}
