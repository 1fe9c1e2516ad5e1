import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { AlmanacError } from '../pipelines/failures';

/** Where EMR is and how its clusters are found, from `ALMANAC_EMR_*`. Holds no secret: credentials are the SDK's own affair. */
export interface EmrConfig {
  /** Of a service that is not AWS. Undefined: AWS. */
  readonly endpoint?: string;
  /** Undefined: the SDK's chain decides. */
  readonly region?: string;
  /** A cluster that stays; undefined: each run makes its own. */
  readonly cluster?: string;
  /** Absolute path of the settings. */
  readonly settings: string;
}

/** What the variables say, each as it was parsed. */
export interface GivenEmr {
  readonly ALMANAC_EMR_SETTINGS?: string | undefined;
  readonly ALMANAC_EMR_CLUSTER?: string | undefined;
  readonly ALMANAC_EMR_ENDPOINT?: string | undefined;
  readonly ALMANAC_EMR_REGION?: string | undefined;
}

/** What is wrong with variables that are set beside each other. */
export interface EmrProblem {
  readonly variable: keyof GivenEmr | 'ALMANAC_DATA';
  readonly problem: string;
  readonly next: string;
}

/** Undefined when none of the variables is set. `overS3`: the objects lie where the machines of a cluster reach them. */
export function emrConfig(given: GivenEmr, base: string, overS3: boolean): EmrConfig | EmrProblem | undefined {
  const {
    ALMANAC_EMR_SETTINGS: settings,
    ALMANAC_EMR_CLUSTER: cluster,
    ALMANAC_EMR_ENDPOINT: endpoint,
    ALMANAC_EMR_REGION: region,
  } = given;
  if (settings === undefined) {
    const alone = (['ALMANAC_EMR_CLUSTER', 'ALMANAC_EMR_ENDPOINT', 'ALMANAC_EMR_REGION'] as const).find(
      (name) => given[name] !== undefined,
    );
    return (
      alone && {
        variable: 'ALMANAC_EMR_SETTINGS',
        problem: `is not set, and ${alone} is`,
        next: `set ALMANAC_EMR_SETTINGS to the file that says what runs on EMR, or: unset ${alone}`,
      }
    );
  }
  if (!overS3 && !isOfThisMachine(endpoint)) {
    return {
      variable: 'ALMANAC_DATA',
      problem: 'is a folder of this machine, which the machines of EMR do not see',
      next: 'set ALMANAC_DATA=s3://BUCKET/PREFIX, or: unset ALMANAC_EMR_SETTINGS',
    };
  }
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(cluster === undefined ? {} : { cluster }),
    settings: path.resolve(base, settings),
  };
}

/** `emr-local`: its steps are processes of this machine. */
function isOfThisMachine(endpoint: string | undefined): boolean {
  return endpoint !== undefined && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(endpoint).hostname);
}

const uri = z.string().regex(/^(s3|file):\/\/\S+$/, 'expected a URI like s3://BUCKET/PATH');
const seconds = (least: number, most: number) => z.number().min(least).max(most);

const fleet = z
  .strictObject({
    role: z.enum(['MASTER', 'CORE', 'TASK']),
    /** In units of the instances' weights. */
    onDemand: z.number().int().min(0).default(0),
    spot: z.number().int().min(0).default(0),
    instances: z
      .array(z.strictObject({ type: z.string(), weight: z.number().int().min(1).default(1), pricePerHour: z.number().min(0).optional() }))
      .min(1),
    /** A spot fleet that is not there after so long falls back to machines on demand. */
    spotTimeoutMinutes: z.number().int().min(5).max(1440).default(10),
  })
  .refine(({ onDemand, spot }) => onDemand + spot > 0, 'has neither onDemand nor spot capacity')
  .refine(({ role, spot }) => role === 'TASK' || spot === 0, 'has spot capacity: only TASK fleets may be lost');

const transient = z.strictObject({
  release: z.string().regex(/^emr-\d+\.\d+\.\d+/, 'expected a release like emr-7.5.0'),
  logs: uri,
  serviceRole: z.string(),
  instanceProfile: z.string(),
  subnets: z.array(z.string()).default([]),
  securityConfiguration: z.string().optional(),
  /** Of the primary node, of all others, and of EMR's own access to both; absent: EMR makes groups of its own, which its role must be allowed to. */
  securityGroups: z.strictObject({ primary: z.string(), core: z.string(), service: z.string() }).optional(),
  /** ARN of the KMS key of the logs. */
  logKey: z.string().optional(),
  fleets: z.array(fleet).min(1),
  bootstrap: z.array(z.strictObject({ name: z.string(), path: uri, arguments: z.array(z.string()).default([]) })).default([]),
  configurations: z.array(z.strictObject({ classification: z.string(), properties: z.record(z.string(), z.string()) })).default([]),
  tags: z.record(z.string(), z.string()).default({}),
  /** A cluster that nobody gave work for so long ends by itself, should we be gone. */
  idleSeconds: seconds(60, 604_800).default(900),
  /** Steps that run beside each other. */
  steps: z.number().int().min(1).max(256).default(4),
});

const SETTINGS = z.strictObject({
  job: z.strictObject({ jar: uri, class: z.string().default('almanac.Job'), sparkArguments: z.array(z.string()).default([]) }),
  transient: transient.optional(),
  /** Of a cluster that stays. */
  pricePerHour: z.number().min(0).optional(),
  pollSeconds: seconds(0.05, 300).default(10),
  /** How long a step may take to be listed after it was submitted. */
  settleSeconds: seconds(0.1, 3600).default(60),
  /** How long the log of a failed step is waited for. */
  logSeconds: seconds(0, 900).default(90),
});

export type EmrSettings = z.infer<typeof SETTINGS>;
export type TransientCluster = z.infer<typeof transient>;

/** Reads the settings as ALMANAC_EMR_SETTINGS names them. Throws `config.invalid` with the place that is wrong. */
export function readEmrSettings({ settings, cluster }: EmrConfig): EmrSettings {
  let text: unknown;
  try {
    text = JSON.parse(readFileSync(settings, 'utf8'));
  } catch (error) {
    throw invalid(settings, error instanceof Error ? error.message : String(error));
  }
  const parsed = SETTINGS.safeParse(text);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const place = issue?.path.map(String).join('.') ?? '';
    throw invalid(settings, `${place === '' ? '' : `${place}: `}${issue?.message ?? 'not usable'}`);
  }
  if ((cluster === undefined) === (parsed.data.transient === undefined)) {
    throw invalid(
      settings,
      cluster === undefined ? 'neither ALMANAC_EMR_CLUSTER nor transient is given' : 'both ALMANAC_EMR_CLUSTER and transient are given',
    );
  }
  return parsed.data;
}

function invalid(file: string, problem: string): AlmanacError {
  return new AlmanacError('config.invalid', `${file}, which ALMANAC_EMR_SETTINGS names: ${problem}`, {
    next: `correct ${file}; docs/operating.md has an example`,
    details: { variable: 'ALMANAC_EMR_SETTINGS' },
  });
}
