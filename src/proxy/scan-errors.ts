/** Replies to requests that cannot be framed; the codes are ScanError's of native/resp.h. Texts as Redis'. */
const TEXTS: Readonly<Record<number, string>> = {
  [-1]: 'invalid multibulk length',
  [-2]: 'invalid bulk length',
  [-3]: "expected '$'",
  [-4]: 'too big inline request',
  [-5]: 'too big mbulk count string',
  [-6]: 'unbalanced quotes in request',
};

export function scanErrorReply(code: number): Buffer {
  return Buffer.from(`-ERR Protocol error: ${TEXTS[code] ?? 'invalid request'}\r\n`);
}
