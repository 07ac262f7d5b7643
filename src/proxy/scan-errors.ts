/** Replies to requests that cannot be framed; the codes are ScanError's of native/resp.h. Texts as Redis'. */
const NO_DOLLAR = -3;

const TEXTS: Readonly<Record<number, string>> = {
  [-1]: 'invalid multibulk length',
  [-2]: 'invalid bulk length',
  [-4]: 'too big inline request',
  [-5]: 'too big mbulk count string',
  [-7]: 'too big bulk count string',
  [-6]: 'unbalanced quotes in request',
  [-8]: 'the proxy has failed at this twice',
};

/** `offender`: the byte that stands where a '$' should, for the code that says so. */
export function scanErrorReply(code: number, offender: number): Buffer {
  if (code === NO_DOLLAR)
    return Buffer.from(
      `-ERR Protocol error: expected '$', got '${String.fromCharCode(offender)}'\r\n`,
      'latin1',
    );
  return Buffer.from(`-ERR Protocol error: ${TEXTS[code] ?? 'invalid request'}\r\n`);
}
