import { Duration } from 'aws-cdk-lib';
import type * as rds from 'aws-cdk-lib/aws-rds';
import type { AlarmSpec } from './observability-stack';
import type { Settings } from './settings';

const GIB = 2 ** 30;
const FIVE_MINUTES = { period: Duration.minutes(5) };

/** What Postgres says of itself before runs fail of it. */
export function databaseAlarms(instance: rds.DatabaseInstance, { databaseStorage }: Settings): readonly AlarmSpec[] {
  return [
    {
      id: 'database-disk',
      metric: instance.metricFreeStorageSpace({ ...FIVE_MINUTES, statistic: 'Minimum' }),
      threshold: (databaseStorage * GIB) / 10,
      below: true,
      periods: 3,
      says: 'Postgres has little disk left, although it grows by itself: look what keeps old publications, or raise almanac:databaseStorage.',
    },
    {
      id: 'database-cpu',
      metric: instance.metricCPUUtilization({ ...FIVE_MINUTES, statistic: 'Average' }),
      threshold: 90,
      periods: 6,
      says: 'Postgres is busy for half an hour: look at its top statements, or use a bigger instance.',
    },
    {
      id: 'database-memory',
      metric: instance.metricFreeableMemory({ ...FIVE_MINUTES, statistic: 'Minimum' }),
      threshold: 256 * 2 ** 20,
      below: true,
      periods: 6,
      says: 'Postgres has little memory left: use a bigger instance.',
    },
    {
      id: 'database-connections',
      metric: instance.metricDatabaseConnections({ ...FIVE_MINUTES, statistic: 'Maximum' }),
      threshold: 500,
      periods: 3,
      says: 'Postgres has more connections than workers and readers should need: look who holds them.',
    },
    {
      id: 'database-transactions',
      metric: instance.metric('MaximumUsedTransactionIDs', { ...FIVE_MINUTES, statistic: 'Maximum' }),
      threshold: 1e9,
      periods: 3,
      says: 'An old transaction, replication slot or prepared transaction keeps Postgres from freezing rows: end it.',
    },
  ];
}
