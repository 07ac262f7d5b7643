/**
 * One rule of the commit protocol broken at a time. A torture must notice each: a rule that can be
 * left out unnoticed is one that the test does not see, or one that is not needed.
 */
import type { Change } from './bare-build.js';
import type { KillKind } from './kills.js';

/** A model test. */
export type Judge = 'turns' | 'journal';

export interface Mutant {
  readonly name: string;
  readonly rule: string; // that it breaks
  /** Where deaths show it; the torture as a whole kills everywhere. */
  readonly at?: readonly string[];
  /** Who is to notice it, where a lane has a second rule for the same, or hardly ever comes to it. */
  readonly judge?: Judge;
  /** Deaths that show it, and how many of them that takes; else as the command line has it. */
  readonly kinds?: readonly KillKind[];
  readonly kills?: number;
  readonly changes: readonly Change[];
}

const change = (file: string, from: string, to: string): Change => ({ file, from, to });

export const mutants: readonly Mutant[] = [
  {
    name: 'commit before the plans',
    rule: 'What a turn received and what becomes of it are one: the commit comes last.',
    at: ['Applied', 'RestsKept', 'NearSettled'],
    changes: [change('turn.cc', '  applyPlans(head->decided);\n',
      '  journal.commit();\n  applyPlans(head->decided);\n')],
  },
  {
    name: 'length before image',
    rule: 'An image is whole before the journal\'s length says that it is there.',
    at: ['ImageWritten', 'Received', 'ReplyReceived', 'LinkSent', 'SessionSent'],
    changes: [change('journal.h', '    memcpy(at, row, static_cast<size_t>(bytes));\n',
      '    *const_cast<volatile int32_t*>(&head_->journal_used) =\n'
      + '        head_->journal_used + bytes + static_cast<int32_t>(sizeof entry);\n'
      + '    storeBarrier();\n    memcpy(at, row, static_cast<size_t>(bytes));\n'),
    change('journal.h', `    FAULT(ImageWritten);
    *const_cast<volatile int32_t*>(&head_->journal_used) =
        head_->journal_used + bytes + static_cast<int32_t>(sizeof entry);
`, '    FAULT(ImageWritten);\n')],
  },
  {
    name: 'journal emptied before the turn moves on',
    rule: 'The turn\'s number goes on before the journal is emptied.',
    at: ['TurnBumped'],
    changes: [change('journal.h', `    nextTurn();
    FAULT(TurnBumped);
    *const_cast<volatile int32_t*>(&head_->journal_used) = 0;
    storeBarrier();
`, `    *const_cast<volatile int32_t*>(&head_->journal_used) = 0;
    storeBarrier();
    FAULT(TurnBumped);
    nextTurn();
`)],
  },
  {
    name: 'closing not honoured',
    rule: 'A commit that was cut has moved the turn\'s number on: its receipts are the turn\'s before.',
    at: ['TurnBumped'],
    changes: [change('journal.h',
      'return head_->journal_used > 0 && head_->closing != 0 ? head_->closing : head_->turn;',
      'return head_->turn;')],
  },
  {
    name: 'the turn does not move on with a roll back',
    rule: 'Rows adopted in an undone turn must not pass for imaged in the next.',
    judge: 'journal', // of a lane, Lane::recount clears such rows as well
    changes: [change('journal.h', '  nextTurn();  // rows adopted', '  // rows adopted')],
  },
  {
    name: 'the roll back in the order of writing',
    rule: 'Images go back last first, each before the length says that it is gone.',
    at: ['ImageRestored'],
    changes: [change('journal.h', `    storeBarrier();
    FAULT(ImageRestored);
    *const_cast<volatile int32_t*>(&head_->journal_used) = used;
`, `    storeBarrier();
    FAULT(ImageRestored);
    *const_cast<volatile int32_t*>(&head_->journal_used) = 0;
`)],
  },
  {
    name: 'a link changed without its image',
    rule: 'A row is imaged before its first change in a turn.',
    at: ['LinkSent'],
    changes: [change('send.cc', 'journal.touch(link).tx += static_cast<uint64_t>(sent);',
      'link.tx += static_cast<uint64_t>(sent);')],
  },
  {
    name: 'a session changed without its image',
    rule: 'A row is imaged before its first change in a turn.',
    at: ['SessionSent'],
    changes: [change('send.cc', 'journal.touch(session).tx += static_cast<uint64_t>(sent);',
      'session.tx += static_cast<uint64_t>(sent);')],
  },
  {
    name: 'a request changed without its image',
    rule: 'A row is imaged before its first change in a turn.',
    at: ['RepliesFramed', 'Framed', 'Applied', 'RestsKept', 'NearSettled'],
    changes: [change('deliver.cc', '  Request& request = journal.touch(requests[number]);\n'
      + '  request.state = kRequestStateHeld;\n  request.flags &= ~kRequestFlagInLink;\n',
    '  Request& request = requests[number];\n'
      + '  request.state = kRequestStateHeld;\n  request.flags &= ~kRequestFlagInLink;\n')],
  },
  {
    name: 'an error of a part moved without its image',
    rule: 'A row is imaged before its first change in a turn.',
    at: ['RepliesFramed', 'Applied', 'RestsKept', 'NearSettled'],
    changes: [change('merge.cc', 'HeldReply(lane_, lane_.journal.touch(*failed)).moveAll(to)',
      'HeldReply(lane_, *failed).moveAll(to)')],
  },
  {
    name: 'chunks used again in the turn that freed them',
    rule: 'Space freed in an open turn is not space.',
    at: ['SessionNoted', 'LinkNoted', 'Framed', 'Applied', 'RestsKept', 'NearSettled'],
    changes: [change('unit-pool.h', 'void give(int32_t unit) { given_.push_back(unit); }',
      'void give(int32_t unit) {\n    given_.push_back(unit);\n    settle();\n  }')],
  },
  {
    name: 'request rows used again in the turn that freed them',
    rule: 'Space freed in an open turn is not space.',
    at: ['Applied', 'RestsKept', 'NearSettled'],
    changes: [change('lane.cc', '  freed_requests_.push_back(number);',
      '  free_requests_.push_back(number);')],
  },
  {
    name: 'a row changed as it leaves its list',
    rule: 'A popped row is not changed without an image: undone, its list leads to it again.',
    at: ['RepliesFramed', 'Applied', 'RestsKept', 'NearSettled'],
    changes: [change('lane.cc',
      '  link.request_head = --link.requests == 0 ? 0 : requests[link.request_head].link_next;\n',
      '  Request& first = requests[link.request_head];\n'
      + '  link.request_head = --link.requests == 0 ? 0 : first.link_next;\n'
      + '  first.link_next = 0;\n')],
  },
  {
    name: 'a head that moves within a chain changed in place',
    rule: 'A node that a committed chain leads through is not changed.',
    judge: 'turns',
    changes: [change('chain.cc', 'if (nodes_[from.head].start != from.start && !renewHead(from)) return false;',
      'nodes_[from.head].start = from.start;')],
  },
  {
    name: 'requests sent before the seal',
    rule: 'Nothing of an open turn reaches send.',
    at: ['LinkSent', 'LinkNoted', 'Applied', 'RestsKept'],
    changes: [change('apply.cc', '    lane_.dirtyLink(lane_.numberOf(link));\n',
      '    lane_.flushLink(lane_.numberOf(link));\n')],
  },
  {
    name: 'replies sent before the seal',
    rule: 'Nothing of an open turn reaches send.',
    at: ['SessionSent', 'SessionNoted', 'RepliesFramed', 'Applied'],
    changes: [change('deliver.cc', `    return closeSession(number, kCloseReasonNoMemory);
  dirtySession(number);
`, `    return closeSession(number, kCloseReasonNoMemory);
  flushSession(number);
`)],
  },
  {
    name: 'a receipt published behind its receive',
    rule: 'Where bytes are about to land is published before they do.',
    at: ['Received', 'ReplyReceived'],
    changes: [
      change('receive.cc', '  storeBarrier();\n  ++head->receipts;\n  return &receipt;\n',
        '  return &receipt;\n'),
      change('receive.cc', '  receipt.got = got;\n', '  ++head->receipts;\n  receipt.got = got;\n'),
      change('receive.cc', '      --head->receipts;\n', ''),
      change('deliver.cc', '      --head->receipts;\n', ''),
    ],
  },
  {
    name: 'what was received is not kept',
    rule: 'The undone turn\'s bytes go to the in chain, by the kernel\'s count.',
    at: ['Received', 'ReplyReceived', 'Framed', 'RepliesFramed'],
    changes: [change('recover.cc', 'isSound(receipts[i])) keepReceived(receipts[i]);',
      'isSound(receipts[i])) continue;')],
  },
  {
    name: 'each heir names the undone turn anew',
    rule: 'The undone turn keeps its name until what it received is kept.',
    at: ['Received', 'ReplyReceived', 'Framed', 'Undone', 'Recounted', 'ReceivedKept'],
    changes: [change('recover.cc', 'if (is_first) head->undone = journal.openTurn();',
      'head->undone = journal.openTurn();')],
  },
  {
    name: 'what was received is looked for where the receipt begins',
    rule: 'What was received lies behind what was kept of the turns before.',
    at: ['Received', 'ReplyReceived', 'Framed', 'RepliesFramed'],
    changes: [change('recover.cc', 'region.arena + receipt.offset + receipt.kept;',
      'region.arena + receipt.offset;')],
  },
  {
    name: 'what a session has sent is not repaired',
    rule: 'What went out by the kernel\'s count leaves the queue.',
    at: ['SessionSent', 'SessionNoted'],
    changes: [change('recover.cc',
      'const int64_t sent = sentSince(session.fd, wireOf(session), session.tx);',
      'const int64_t sent = 0;')],
  },
  {
    name: 'what a link has sent is not repaired',
    rule: 'What went out by the kernel\'s count leaves the queue.',
    at: ['LinkSent', 'LinkNoted'],
    changes: [change('recover.cc',
      'const int64_t sent = sentSince(link.fd, wireOf(link), kSynBytes + link.tx_base + link.tx);',
      'const int64_t sent = 0;')],
  },
  {
    name: 'the SYN counted as a byte',
    rule: 'An active connect counts one for its SYN.',
    at: ['LinkSent', 'LinkNoted'],
    changes: [change('recover.cc', 'constexpr uint64_t kSynBytes = 1;',
      'constexpr uint64_t kSynBytes = 0;')],
  },
  {
    name: 'a wire of any turn',
    rule: 'What a wire says is of the turn that it names.',
    at: ['TurnBumped', 'Committed', 'Sealed', 'Received', 'RepliesFramed'],
    changes: [change('recover.cc', '  if (wire->turn != head->undone) return 0;\n', '')],
  },
  {
    name: 'a wire named before it is cleared',
    rule: 'A wire is cleared before it is another turn\'s.',
    at: ['WireCleared'],
    changes: [change('send.cc', `    wire->sent = wire->sending = 0;  // before it is this turn's that are looked at
    storeBarrier();
    FAULT(WireCleared);
    wire->turn = turn;
    storeBarrier();
`, `    wire->turn = turn;
    storeBarrier();
    FAULT(WireCleared);
    wire->sent = wire->sending = 0;
    storeBarrier();
`)],
  },
  {
    name: 'a lost link remembered by its finder only',
    rule: 'What nobody will find out a second time is in the row when the repair is committed.',
    at: ['WireSaid', 'WireSent', 'RepairCommitted', 'KeeperNamed'],
    changes: [change('recover.cc', 'journal.touch(link).flags |= kLinkFlagLost;',
      'lost_links_.push_back(numberOf(link));')],
  },
  {
    name: 'what a lost link had queued is sent again',
    rule: 'Of a link lost with its owner nobody knows how far its queue has gone.',
    at: ['WireSaid', 'WireSent'],
    changes: [change('link.cc', 'const bool is_known = (link.flags & kLinkFlagLost) == 0;',
      'const bool is_known = true;')],
  },
  {
    name: 'bytes taken out of a unix socket before the commit',
    rule: 'A unix socket is only looked at until the turn is committed.',
    at: ['PeekedTaken', 'TurnBumped'],
    changes: [
      change('turn.cc', '  if (!peeked_.empty()) takePeeked();\n', ''),
      change('turn.cc', '  journal.commit();\n',
        '  if (!peeked_.empty()) takePeeked();\n  journal.commit();\n'),
    ],
  },
  {
    name: 'bytes taken out of a unix socket twice',
    rule: 'What is still to be taken out is at most what the socket remembers.',
    at: ['PeekTaken'],
    changes: [change('recover.cc', '  peeked = std::min(peeked, ahead);\n', '')],
  },
  {
    name: 'bytes looked at are not looked at again',
    rule: 'What the dead owner had only looked at is looked at from the beginning.',
    at: ['Received', 'ReplyReceived'],
    changes: [change('recover.cc', '  settlePeeked(fd, peeked);\n  rememberPeeks(fd);\n',
      '  settlePeeked(fd, peeked);\n')],
  },
  {
    name: 'accepted connections are not adopted',
    rule: 'Connections accepted in the undone turn get the rows that they were meant for.',
    at: ['Accepted', 'AcceptPlaced', 'AcceptRowed'],
    changes: [change('recover.cc', '  adoptAccepted(accepted);\n', '  head->accept_row = 0;\n')],
  },
  {
    name: 'a connection that has left stays in the epoll',
    rule: 'A descriptor that may have a duplicate is taken out of epoll before it is closed.',
    at: ['AcceptRowed'],
    changes: [change('recover.cc', '      interest(fd, number, 0, false);\n      shutdown(fd, SHUT_RDWR);\n',
      '      shutdown(fd, SHUT_RDWR);\n')],
  },
  {
    name: 'the row of an accept is not said',
    rule: 'Which row a connection is for is said before it is accepted.',
    at: ['Accepted'],
    changes: [change('session.cc', '    if (kCrashSafe) head->accept_row = row_number;\n', '')],
  },
  {
    name: 'free bits are not made anew',
    rule: 'What no row leads to becomes free.',
    at: ['Applied', 'RestsKept', 'Framed'],
    changes: [change('unit-pool.cc', '    batch.free = free;\n', '    (void)free;\n')],
  },
  {
    name: 'request rows are not counted anew',
    rule: 'Request rows that no list leads to become free.',
    at: ['Applied', 'RestsKept', 'NearSettled'],
    changes: [change('recover.cc', '      memset(static_cast<void*>(&requests[i]), 0, sizeof(Request));\n',
      '      (void)0;\n')],
  },
  {
    name: 'gauges are not counted anew',
    rule: 'What is counted up and down is counted anew after a death.',
    at: ['Applied', 'RepliesFramed'],
    changes: [change('recover.cc', '    counted.in_queue += link.requests;\n', '')],
  },
  {
    name: 'interest is not registered anew',
    rule: 'Which events the dead owner asked for was his own knowledge.',
    at: ['AcceptPlaced', 'Accepted', 'SessionNoted'],
    changes: [change('recover.cc', '  interest(session.fd, number, EPOLLIN, true);\n  sessionInterest(number);\n', '')],
  },
  {
    name: 'queues are not looked at',
    rule: 'A new owner\'s first turn looks at every connection that has something to do.',
    at: ['TurnBumped', 'Committed', 'Sealed'],
    changes: [change('recover.cc',
      'if (link.out_bytes > 0 && (link.flags & kLinkFlagWantWrite) == 0) dirtyLink(i);', '')],
  },
  {
    name: 'replies that wait are not framed',
    rule: 'What waits in a link\'s in chain is framed in the first turn: no event will come for it.',
    at: ['ReplyReceived', 'ReplyNoted'],
    changes: [change('recover.cc', '    if (link.in_bytes > 0) unread_links_.push_back(i);\n', '')],
  },
  {
    name: 'the new keeper is named before the repair',
    rule: 'Until the repair is committed, the dead owner\'s keeper answers: he alone has what no row names.',
    at: ['Accepted', 'AcceptPlaced'],
    changes: [change('recover.cc', '  std::vector<int32_t> accepted;\n  undoTurn(&accepted);\n',
      '  nameKeeper();\n  std::vector<int32_t> accepted;\n  undoTurn(&accepted);\n')],
  },
  {
    name: 'connects of the undone turn are not looked for',
    rule: 'What was registered in the undone turn leaves the epoll.',
    at: ['ConnectNoted'],
    changes: [change('recover.cc',
      '    if (held_[static_cast<size_t>(sizes.sessions + i)] == 0) asked.push_back(linkFd(i));\n', '')],
  },
  {
    name: 'connects are looked for by what rows say',
    rule: 'A repair that died has changed rows: what was not asked for then is asked for behind the undo.',
    at: ['SocketMade', 'ConnectStarted', 'ConnectNoted', 'LinksRepaired', 'RepairCommitted'],
    kinds: ['chained'],
    kills: 4000,
    changes: [change('recover.cc', 'if (held_[static_cast<size_t>(sizes.sessions + i)] == 0) asked',
      'if (links[i].fd < 0) asked')],
  },
  {
    name: 'a connect under way is kept',
    rule: 'A connection that was not up yet is dropped: what was said on it is not known.',
    at: ['Greeted', 'ConnectNoted'],
    changes: [change('recover.cc',
      '  if (link.state != kLinkStateUp) return dropConnect(number, is_here);\n',
      '  if (link.state != kLinkStateUp && !is_here) return dropConnect(number, is_here);\n')],
  },
];
