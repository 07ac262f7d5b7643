/**
 * A worker process: makes itself ready, takes the lane its master names when he says so, runs it
 * until another worker takes it over or it is told to end.
 *
 * The first statement must be the handlers of signals: a terminal sends INT and HUP to the whole
 * process group, and an unhandled USR1 would open Node's inspector. The master alone acts on them.
 */
for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR2', 'SIGWINCH', 'SIGUSR1', 'SIGPIPE'] as const) {
  process.on(signal, () => {});
}

const { WORKER_ORDER_VARIABLE } = await import('../base/worker-order.js');
const { Worker } = await import('./worker.js');

const order = process.env[WORKER_ORDER_VARIABLE];
if (order === undefined) {
  process.stderr.write('a worker is started by its master: run bin/baton\n');
  process.exit(1);
}
const worker = new Worker(JSON.parse(order));
process.on('SIGTERM', () => worker.stopFast());
process.on('SIGQUIT', () => worker.stopGracefully());
process.on('SIGUSR1', () => worker.reopenLog());
process.on('SIGUSR2', () => worker.obey());
worker.getReady();
// A frozen worker has no timer, and must not end for it.
setInterval(() => {}, 2 ** 31 - 1);

export {};
