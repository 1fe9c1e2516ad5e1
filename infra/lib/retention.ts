import { Duration } from 'aws-cdk-lib';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';

/** How long things are kept that nobody asks for. */
export const RETENTION = {
  workers: RetentionDays.THREE_MONTHS,
  commands: RetentionDays.ONE_YEAR,
  database: RetentionDays.THREE_MONTHS,
  flow: RetentionDays.ONE_MONTH,
  /** Of EMR: the log tail of a failed step is read within minutes, the rest by people. */
  clusterLogs: Duration.days(90),
  accessLogs: Duration.days(365),
  /** Until an object that was deleted or replaced by mistake is gone for good. */
  noncurrentData: Duration.days(30),
  /** Longer than any upload takes. */
  abandonedUpload: Duration.days(2),
  databaseBackups: Duration.days(14),
} as const;
