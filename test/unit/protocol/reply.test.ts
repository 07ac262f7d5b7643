/** Goal: replies have the exact bytes of both protocols, and any payload survives. */
import fc from 'fast-check';
import t from 'tap';
import { ReplyWriter, errorReply } from '../../../src/protocol/reply.js';
import { decodeReply } from './decode-reply.js';

void t.test('every type in both protocols', async (t) => {
  const both = (write: (writer: ReplyWriter) => ReplyWriter): [string, string] => [
    write(new ReplyWriter(2)).finish().toString('latin1'),
    write(new ReplyWriter(3)).finish().toString('latin1'),
  ];
  t.same(both((w) => w.simple('OK')), ['+OK\r\n', '+OK\r\n']);
  t.same(both((w) => w.error('ERR x')), ['-ERR x\r\n', '-ERR x\r\n']);
  t.same(both((w) => w.integer(-7)), [':-7\r\n', ':-7\r\n']);
  t.same(both((w) => w.bulk('é')), ['$2\r\n\xc3\xa9\r\n', '$2\r\n\xc3\xa9\r\n']);
  t.same(both((w) => w.bulk('')), ['$0\r\n\r\n', '$0\r\n\r\n']);
  t.same(both((w) => w.null()), ['$-1\r\n', '_\r\n']);
  t.same(both((w) => w.array(1).integer(1)), ['*1\r\n:1\r\n', '*1\r\n:1\r\n']);
  t.same(both((w) => w.map(1).bulk('k').integer(1)), [
    '*2\r\n$1\r\nk\r\n:1\r\n', '%1\r\n$1\r\nk\r\n:1\r\n',
  ]);
  t.same(both((w) => w.set(1).simple('m')), ['*1\r\n+m\r\n', '~1\r\n+m\r\n']);
  t.same(both((w) => w.double(1.5)), ['$3\r\n1.5\r\n', ',1.5\r\n']);
  t.same(both((w) => w.double(-Infinity)), ['$4\r\n-inf\r\n', ',-inf\r\n']);
  t.same(both((w) => w.double(NaN)), ['$3\r\nnan\r\n', ',nan\r\n']);
  t.same(both((w) => w.boolean(true)), [':1\r\n', '#t\r\n']);
  t.same(both((w) => w.boolean(false)), [':0\r\n', '#f\r\n']);
  t.same(both((w) => w.verbatim('a\nb')), ['$3\r\na\nb\r\n', '=7\r\ntxt:a\nb\r\n']);
  t.same(both((w) => w.bigNumber('123')), ['$3\r\n123\r\n', '(123\r\n']);
  t.same(both((w) => w.bulks(['a', Buffer.from('b')])),
    Array(2).fill('*2\r\n$1\r\na\r\n$1\r\nb\r\n'));
  t.same(both((w) => w.raw(Buffer.from(':1\r\n')).simple('x')), Array(2).fill(':1\r\n+x\r\n'));
  t.equal(errorReply('ERR x').toString(), '-ERR x\r\n');
});

void t.test('payloads of any bytes and size', async (t) => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 9000, size: 'max' })), (payloads) => {
    const bytes = new ReplyWriter(3).bulks(payloads).finish();
    let at = `*${payloads.length}\r\n`.length;
    for (const payload of payloads) {
      const head = `$${payload.length}\r\n`;
      if (bytes.toString('latin1', at, at + head.length) !== head) return false;
      at += head.length;
      if (!bytes.subarray(at, at + payload.length).equals(payload)) return false;
      at += payload.length + 2;
    }
    return at === bytes.length;
  }), { numRuns: 200 });
  t.same(decodeReply(new ReplyWriter(3).map(1).bulk('a').array(1).null().finish()), { a: [null] });
});
