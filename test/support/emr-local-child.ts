/** A local EMR in a process of its own, for tests that kill it: serves the options it is sent, tells its endpoint, and ends with its channel. */
import { startEmrLocal, type EmrLocalOptions } from '../../operator/emr-local/server';

process.once('message', (options: EmrLocalOptions) => {
  void startEmrLocal(options).then((server) => {
    process.once('disconnect', () => void server.close().then(() => process.exit(0)));
    process.send?.({ endpoint: server.endpoint });
  });
});
