/** CLOCK_MONOTONIC in nanoseconds, which all processes share; exact to 2^53, three months of uptime. */
export function nowNs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}
