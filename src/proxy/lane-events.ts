/** What happens in a lane and deserves a log line; the worker words and rate-limits it. */
export interface LaneEvents {
  /** reason: CloseReason; queuedBytes: output the client had not read. */
  onSessionClosed(row: number, reason: number, pool: number, queuedBytes: number): void;
  /** A client's request cannot be framed, or must not be: it is closed. */
  onBrokenRequest(row: number, pool: number, why: string): void;
  /** Workers died of this request: it is answered with an error, and skipped. `head`: see poison.ts. */
  onPoisonedRequest(row: number, pool: number, head: string): void;
  onAcceptFailed(errno: number): void;
  /** A connection was refused: client_connections (errno 0) or no descriptor for it. */
  onClientRefused(pool: number, errno: number): void;
}
