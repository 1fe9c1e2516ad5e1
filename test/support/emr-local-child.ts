/** A local EMR in a process of its own, for tests that kill it: serves the options it is sent, and tells its endpoint. */
import { startEmrLocal, type EmrLocalOptions } from '../../operator/emr-local/server';

process.once('message', (options: EmrLocalOptions) => {
  void startEmrLocal(options).then(({ endpoint }) => process.send?.({ endpoint }));
});
