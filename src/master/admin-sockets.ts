/** How the statistics' ports get their sockets: opened natively, to be inherited like listeners. */
import type { SocketKeeper } from '../admin/server.js';
import type { TcpAddress } from '../config/settings.js';
import { native } from '../native/binding.js';

const BACKLOG = 511; // as Node's own default

export class AdminSockets implements SocketKeeper {
  open({ host, port }: TcpAddress): number {
    return native.socketListenTcp(host, port, BACKLOG,
      { reuseport: false, keepalive: false, v6only: false });
  }

  copy(fd: number): number {
    return native.socketDuplicate(fd);
  }

  close(fd: number): void {
    native.socketClose(fd);
  }
}
