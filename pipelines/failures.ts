/**
 * One table of failure classes and one of codes. Every failure a user can cause has a code; the message names the
 * thing and the place, `next` the step that mends it. docs/errors.md is generated from this file.
 */
import { boundedFailure } from './bounded-failure';

/** The class decides retry, page, HTTP status and exit code; `refused` and `missing` are answers to a verb, not stage failures. */
export type FailureClass = 'data' | 'user' | 'platform' | 'timeout' | 'resource' | 'refused' | 'missing';

export interface FailurePolicy {
  /** Whether the runner retries a stage by itself. */
  readonly retry: 'never' | 'for-30-minutes' | 'once-smaller';
  readonly pages: 'data owner' | 'pipeline owner' | 'platform' | 'nobody';
  readonly httpStatus: number;
  readonly exitCode: number;
}

export const FAILURE_CLASSES = {
  data: { retry: 'never', pages: 'data owner', httpStatus: 422, exitCode: 10 },
  user: { retry: 'never', pages: 'pipeline owner', httpStatus: 400, exitCode: 11 },
  platform: { retry: 'for-30-minutes', pages: 'platform', httpStatus: 503, exitCode: 12 },
  timeout: { retry: 'never', pages: 'pipeline owner', httpStatus: 504, exitCode: 13 },
  resource: { retry: 'once-smaller', pages: 'platform', httpStatus: 507, exitCode: 14 },
  refused: { retry: 'never', pages: 'nobody', httpStatus: 409, exitCode: 5 },
  missing: { retry: 'never', pages: 'nobody', httpStatus: 404, exitCode: 4 },
} as const satisfies Record<FailureClass, FailurePolicy>;

export interface CodeEntry {
  readonly class: FailureClass;
  /** One sentence for docs/errors.md: when it is raised. */
  readonly when: string;
  /** The usual next step, for docs/errors.md; a thrown error names its own, exact one. */
  readonly next: string;
  /** Time may mend it: while patience lasts the stage waits, as one attempt, and holds only then. */
  readonly waits?: true;
}

/** Keep sorted by code. */
export const CODES = {
  'backfill.behind': { class: 'refused', when: 'The branch cannot be promoted now: `main` went on since it was built, or a run of the chain is open.', next: '`almanac backfill resume HASH` builds what is behind; let the open run end or cancel it. Then promote.' },
  'backfill.branch': { class: 'refused', when: 'A branch of the pipeline is open already; there is one at a time.', next: '`almanac backfill promote HASH` or `almanac backfill discard HASH` closes it.' },
  'backfill.drift': { class: 'refused', when: 'What the plan would do is no longer what it said: code, inputs or runs changed since.', next: 'Read what drifted, then `almanac backfill plan` again and start the new hash.' },
  'backfill.gap': { class: 'refused', when: 'A window of an ordered range is not accepted and would be left alone; those after it need it.', next: 'Plan again with `--reprocess failed`, or mend the run the message names.' },
  'backfill.state': { class: 'refused', when: 'The backfill is not in a state the verb is for, or what stopped it is not mended.', next: '`almanac backfill show HASH` shows where it is.' },
  'backfill.unknown': { class: 'missing', when: 'No backfill has that hash.', next: 'Use one that `almanac backfill list` shows.' },
  'chain.gap': { class: 'refused', when: 'The window before this one has no accepted set, so its state does not exist.', next: 'Run the window it names, or `--bootstrap` this one.' },
  'chain.schema': { class: 'refused', when: 'The declared columns or buckets of a state dataset differ from the accepted state of the window before.', next: 'Rebuild the state under the new declaration: `almanac run PIPELINE --window KEY --bootstrap`.' },
  'check.invalid': { class: 'user', when: 'A rule of a check contradicts itself, or bounds nothing.', next: 'Correct the bounds the message names.' },
  'check.unknown': { class: 'missing', when: 'No check of that dataset was ever measured under that name, or the run has no results yet.', next: 'Use one of the names the message lists.' },
  'compute.bucket': { class: 'user', when: 'A text run bucket by bucket returned rows of another bucket, or has no variant for Spark that tells buckets apart.', next: 'Return the bucket column as it was read, write the variant, or declare the stage without `each`.' },
  'compute.schema': { class: 'user', when: 'A text returns other columns or types than its dataset declares.', next: 'Correct the select list of the text or the columns of the dataset.' },
  'config.invalid': { class: 'user', when: 'An environment variable or option has a value Almanac cannot use.', next: 'Correct the variable the message names.' },
  'config.unknown': { class: 'user', when: 'An `ALMANAC_*` variable does not exist.', next: 'Use the nearest name, which the message gives, or unset it.' },
  'dataset.unknown': { class: 'missing', when: 'No dataset of that name exists.', next: 'Use one of the names `almanac dataset list` shows.' },
  'dataset.version-missing': { class: 'missing', when: 'A version of a dataset is not in the store: it never was, or retention collected it.', next: '`almanac dataset versions DATASET` lists those there are; a rebuilt window brings its version back.' },
  'demo.data-taken': { class: 'refused', when: 'The demo found other data where its landing files or references belong.', next: 'Run the demo with an empty `ALMANAC_HOME`.' },
  'demo.interrupted': { class: 'refused', when: 'The demo was stopped by a signal; what it had accepted stays.', next: '`almanac demo` goes on where it stopped.' },
  'demo.running': { class: 'refused', when: 'A demo on EMR runs already in this `ALMANAC_HOME`.', next: 'End it with Ctrl-C where it runs, or give the new one a home of its own.' },
  'demo.unready': { class: 'user', when: 'The machine lacks what the demo on EMR installs its servers with, or they could not be fetched.', next: 'Do what the message says, then `npm run demo:emr` again.' },
  'deploy.incompatible': { class: 'refused', when: 'The workflow code of a build cannot go on with the history of an open, held or recent run.', next: 'Keep the old workers until those runs are closed, or guard the change with `patched()`; then `almanac deploy-check`.' },
  'deploy.migration': { class: 'refused', when: 'This build has a migration that the build before cannot live with, and workers of another build are at work.', next: 'Stop the workers the message names, then repeat; `almanac deploy-check` lists what is pending.' },
  'deploy.not-ready': { class: 'refused', when: 'A build is not where the step asked for begins: workers of a role are missing or still poll, new runs go to it, or the server has not seen it drained.', next: 'Start or stop its workers as the message says, then try again.' },
  'deploy.outdated': { class: 'refused', when: 'A newer build migrated the control schema in a way that this one cannot live with.', next: 'Use the newer build here as well.' },
  'deploy.pinned': { class: 'refused', when: 'A build is to be retired, and open runs are pinned to it.', next: 'Keep its workers until the runs that the message names are closed.' },
  'deploy.unknown': { class: 'missing', when: 'No worker was ever started as that build.', next: 'Use one of those `almanac deploy builds` lists, or start workers with ALMANAC_BUILD.' },
  'emr.cancelled': { class: 'refused', when: 'A step on EMR was cancelled by somebody other than Almanac.', next: 'Ask who cancelled it, then retry the stage: it is submitted anew.' },
  'emr.cluster-lost': { class: 'platform', when: 'The cluster ended before the step on it did: its machines were taken back, or it terminated with errors.', next: 'Nothing: the stage is tried again, on a new cluster where runs make their own.' },
  'emr.credentials': { class: 'platform', when: 'There are no credentials for EMR, or they have expired or are not known there.', next: 'Renew them where the AWS SDK looks (role, profile, environment); stages retry by themselves for 30 minutes, and adopt their steps.' },
  'emr.local-busy': { class: 'refused', when: 'Another `almanac emr-local` serves the clusters of that state directory.', next: 'Use the endpoint it told, or start another with `--state-dir DIR --port N`.' },
  'emr.local-credentials': { class: 'user', when: 'The file that `emr-local --credentials` names holds no list of key pairs.', next: 'Write a JSON list like `[{"accessKeyId": "…", "secretAccessKey": "…"}]` into it.' },
  'emr.local-port': { class: 'refused', when: 'The port of `emr-local` is taken, or not for this user.', next: '`almanac emr-local --port N`, with a free one.' },
  'emr.local-spark': { class: 'user', when: '`emr-local` has no spark-submit to run steps with.', next: '`almanac emr-local --spark-submit FILE`.' },
  'emr.local-state': { class: 'platform', when: 'What `emr-local` wrote down of a cluster cannot be read.', next: 'End what is left of that cluster’s steps and remove the file the message names.' },
  'emr.memory': { class: 'resource', when: 'A Spark job on EMR was ended for want of memory.', next: 'Give its executors more memory (`job.sparkArguments` in the settings of ALMANAC_EMR_SETTINGS) or use more buckets, then retry the stage.' },
  'emr.refused': { class: 'user', when: 'EMR refused a request: permissions, a cluster that is not there, or settings it does not take.', next: '`almanac doctor` asks EMR; mend what the message names, then retry the stage.' },
  'emr.step-failed': { class: 'platform', when: 'A step on EMR ended otherwise than COMPLETED; the message has the end of its log.', next: 'Nothing, while the stage is tried again; what stays is in the log that the message shows.' },
  'emr.unreachable': { class: 'platform', when: 'EMR did not answer for five minutes; what it runs goes on.', next: 'Nothing: the stage looks again and adopts its step. `almanac doctor` asks EMR.' },
  'engine.disk': { class: 'resource', when: 'The disk or the spill directory of a computation is full.', next: 'Free space on the disk of ALMANAC_HOME, then retry the stage.' },
  'engine.forbidden': { class: 'user', when: 'The SQL of a stage or check reached for a file, an extension or a setting that is not its own.', next: 'Land the data, ingest them into a dataset and read that; then retry the stage.' },
  'engine.lost': { class: 'platform', when: 'The process of a computation ended before it answered, or its files failed.', next: 'Retry the stage; nothing was written.' },
  'engine.memory': { class: 'resource', when: 'A computation needs more memory than its limit, or the system killed it for memory.', next: 'Raise ALMANAC_MEMORY or use more buckets, then retry the stage.' },
  'engine.sql': { class: 'user', when: 'DuckDB or Spark refused a statement.', next: 'Correct the file and line the message names, then retry the stage.' },
  'engine.unconfigured': { class: 'user', when: 'A stage is to be computed on Spark, and the workers know no EMR to run it on.', next: 'Set ALMANAC_EMR_SETTINGS for the compute workers, or let DuckDB compute it: `almanac retry RUN --engine duckdb --reason …`.' },
  'gate.failed': { class: 'data', when: 'A check stage found data outside its bands, or could not measure them; nothing was accepted.', next: '`almanac check show RUN` shows which rows and why; mend them, then `almanac retry RUN --stage S --reason …`.' },
  'internal': { class: 'platform', when: 'Almanac met a state it does not know.', next: 'Retry; if it stays, report it with the log of the run.' },
  'landing.changed': { class: 'platform', when: 'Landing files changed while they were read.', next: 'Nothing: the stage reads them again. If it stays, stop whoever keeps writing to the folder.' },
  'landing.columns': { class: 'data', when: 'A landing or reference file lacks a declared column.', next: 'Mend the file’s header, or the dataset’s columns; then retry the stage.' },
  'landing.missing': { class: 'data', waits: true, when: 'The landing data of the window are not there or not complete yet, and patience (`--patience`) is over or was not asked for.', next: 'Put the files into the folder the message names, then retry the stage.' },
  'landing.unreadable': { class: 'data', when: 'A landing or reference file cannot be read: truncated, corrupt, without a header, of an unknown kind, or no file at all.', next: 'Replace the file the message names, then retry the stage.' },
  'param.invalid': { class: 'user', when: 'A `--param` is not declared by the pipeline, or its value is of another type.', next: 'Use a param and a value like those the message shows.' },
  'payload.too-large': { class: 'user', when: 'A workflow payload would exceed 64 KiB.', next: 'Shorten the field the message names.' },
  'pipeline.invalid': { class: 'user', when: 'A declaration is inconsistent: a cycle, a missing dataset, a policy that would deadlock.', next: 'Correct the place the message names, then `almanac validate`.' },
  'pipeline.unknown': { class: 'missing', when: 'The project has no pipeline of that name.', next: 'Use one of the names the message lists.' },
  'pool.full': { class: 'timeout', waits: true, when: 'A stage waited seven days for permits of its pool; until then it waits as one attempt and holds no place.', next: '`almanac pool show NAME` shows who holds them and who waits; `almanac pool set NAME --permits N` makes it larger.' },
  'pool.too-small': { class: 'user', when: 'A stage asks for more permits than its pool has, or would have after `pool set`: it could never run. A pool of 0 permits is closed; for that one stages wait.', next: '`almanac pool set NAME --permits N --reason …` with at least as many, or let the stage ask for less; then retry it.' },
  'pool.unknown': { class: 'missing', when: 'No pool has that name: the project does not declare it, and none is in use under it.', next: 'Use one that `almanac pool list` shows, or declare it under `pools` in almanac.config.ts.' },
  'project.invalid': { class: 'user', when: 'The project directory has no usable almanac.config.ts.', next: 'Pass `--project DIR`, or mend the file at the place the message names.' },
  'publish.audit-failed': { class: 'platform', when: 'A loaded table has other rows in Postgres than its version has in the store.', next: 'Nothing went live. Retry: it is loaded anew; if it stays, check the disks of both sides.' },
  'publish.collected': { class: 'refused', when: 'The tables of that publication were dropped already; the newest three are kept.', next: 'Restore one that `almanac publish list` shows as retired or withdrawn, or run the window again.' },
  'publish.fenced': { class: 'refused', when: 'Another publisher, a newer generation or a cancel took over; the late flip is refused.', next: 'Nothing: the newer one goes on. `almanac publish list` shows what is live.' },
  'publish.key-invalid': { class: 'data', when: 'The declared key of a live table is repeated or NULL in the version to publish.', next: 'Correct the SQL of the dataset, or the key, and retry its stage.' },
  'publish.locked': { class: 'platform', when: 'Somebody held a lock on a live table for longer than publishing waits.', next: 'End or await the sessions the message names; the stage retries by itself.' },
  'publish.name-taken': { class: 'user', when: 'Postgres has an object of a live table’s name that Almanac did not make, or another pipeline publishes it.', next: 'Rename the live table in the declaration, or move that object away, then retry.' },
  'publish.never-live': { class: 'refused', when: 'That publication was never live, so it cannot be put back.', next: 'Restore one that `almanac publish list` shows as retired or withdrawn.' },
  'publish.not-accepted': { class: 'refused', when: 'The versions to publish are not the accepted set of their window.', next: '`almanac show RUN` shows what is missing; publish follows acceptance.' },
  'publish.schema-changed': { class: 'user', when: 'A live table changed in a way its readers would feel: anything but a column appended.', next: 'Publish under a new table name, move the readers, then drop the old one.' },
  'publish.unknown': { class: 'missing', when: 'No publication has that number.', next: 'Use a number `almanac publish list` shows.' },
  'publish.value-refused': { class: 'data', when: 'Postgres cannot hold a value of the version: NUL in text, a date out of its range.', next: 'Correct the SQL of the dataset and retry its stage.' },
  'quarantine.conflict': { class: 'refused', when: 'Others replayed rows into the same window at the same moment, again and again.', next: 'Repeat the command.' },
  'quarantine.nothing': { class: 'missing', when: 'The quarantine of that window holds no early or late row of that source, and none that a check put aside, so there is nothing to replay.', next: '`almanac quarantine list` shows what is put aside, by source, window and reason.' },
  'reason.missing': { class: 'user', when: 'A verb was given an empty reason.', next: 'Say why: `--reason "file replaced by its sender"`.' },
  'reference.duplicate': { class: 'data', when: 'A reference file has one id twice.', next: 'Remove one of the rows the message names, then retry the stage.' },
  'reference.missing': { class: 'data', when: 'A reference file is not there.', next: 'Put the file where the message says, then retry the stage.' },
  'run.closed': { class: 'refused', when: '`run` was asked for a window whose run was cancelled, abandoned or lost.', next: '`almanac retry RUN --reason …` goes on; `almanac run … --again` starts over.' },
  'run.fenced': { class: 'refused', when: 'A newer generation or an operator’s cancel took over; a late attempt is refused.', next: 'Nothing: the newer generation goes on. `almanac show RUN` shows it.' },
  'run.running': { class: 'refused', when: '`abandon` was asked for a run that is running: it gives up what is held.', next: '`almanac cancel RUN --reason …` stops a run and proves it stopped.' },
  'run.stale': { class: 'refused', when: 'The run is not in the state the verb was meant for: somebody was faster.', next: 'Look again with `almanac show RUN` and repeat the verb if it still makes sense.' },
  'run.unknown': { class: 'missing', when: 'No such run in the ledger.', next: 'Use one of those `almanac runs` lists.' },
  'run.usage': { class: 'user', when: 'A verb was given options that do not go together or that name what is not there.', next: 'Follow the message; `almanac VERB --help` shows examples.' },
  'schedule.deadline': { class: 'user', when: 'Every slot of a schedule fires after the deadline of its day.', next: 'Let the schedule fire earlier, or choose a later deadline.' },
  'schedule.unknown': { class: 'missing', when: 'No schedule of that pipeline is installed.', next: '`almanac schedule apply` installs what the project declares.' },
  'schedule.windows': { class: 'user', when: 'The slots of an ordered pipeline leave out a window, or two are for the same.', next: 'Let the schedule fire once a window, at a time that changes of clocks do not move over its end.' },
  'sense.unmet': { class: 'data', waits: true, when: 'What a sense stage waits for has not come, and patience is over or was not asked for.', next: 'Do what the message says of the condition, then retry the stage.' },
  'service.unavailable': { class: 'platform', when: 'Postgres, Temporal or a worker went away while it was needed.', next: '`almanac status` shows which; stages retry by themselves for 30 minutes.' },
  'sql.placeholder': { class: 'user', when: 'A SQL text uses a `$name` that has no value, or a value that SQL cannot hold.', next: 'Declare the param, or correct the line the message names.' },
  'stack.busy': { class: 'refused', when: 'Another command is starting or stopping the same stack.', next: 'Wait for the process the message names, then repeat.' },
  'stack.down': { class: 'missing', when: 'No stack of this home is running.', next: '`almanac up --detach` starts it.' },
  'stack.failed': { class: 'platform', when: 'A process of the stack did not start or does not stay up.', next: 'Read the log the message names; `almanac doctor` checks the usual causes.' },
  'stack.other-services': { class: 'refused', when: 'The running stack works with another Temporal or Postgres than the environment names.', next: 'Unset or correct the variable the message names; or `almanac down && almanac up --detach`.' },
  'stack.postgres-user': { class: 'user', when: 'Postgres refuses to run as root, and the user `nobody` cannot reach its files.', next: 'Open the directory the message names to other users, or move ALMANAC_HOME or the clone.' },
  'stack.temporal-missing': { class: 'user', when: 'There is no Temporal server on this machine and no way to get one.', next: 'Put a `temporal` binary or Go on PATH, or set TEMPORAL_ADDRESS.' },
  'stack.unreachable': { class: 'platform', when: 'A service does not answer.', next: '`almanac status` shows which, with its log.' },
  'stage.cancelled': { class: 'refused', when: 'The stage was stopped on an operator’s word.', next: '`almanac retry RUN --stage S --reason …` runs it again.' },
  'stage.timeout': { class: 'timeout', when: 'One attempt of a stage took longer than its declared timeout.', next: 'Raise `timeoutSeconds`, or find out with `almanac logs RUN STAGE` what it waited for; then retry.' },
  'stage.unreachable': { class: 'platform', when: 'No worker could finish the stage in 30 minutes of retries.', next: '`almanac status` shows the workers; mend them, then retry.' },
  'store.bucket-missing': { class: 'user', when: 'The bucket of the object store does not exist.', next: 'Create the bucket, or correct ALMANAC_DATA; `almanac doctor` looks again.' },
  'store.clock': { class: 'platform', when: 'The clocks of this machine and of S3 are too far apart for a signature.', next: 'Set the clock of the workers’ machine (NTP); stages retry by themselves.' },
  'store.credentials': { class: 'platform', when: 'There are no credentials for S3, or they have expired or are not known there.', next: 'Renew them where the AWS SDK looks (role, profile, environment); stages retry by themselves for 30 minutes.' },
  'store.damaged': { class: 'platform', when: 'An object of the store is gone, or its bytes are not those on record.', next: 'Retry; if it stays, restore the object the message names from the bucket’s versions, or run its window again.' },
  'store.denied': { class: 'user', when: 'S3 or its KMS key refuses what Almanac may have to do.', next: 'Give the role the action the message names, as docs/deploying.md lists them; `almanac doctor` looks again.' },
  'store.full': { class: 'resource', when: 'The disk of the object store or of the database is full.', next: 'Free room (`almanac dataset gc --older-than 0s` deletes what no run and no table uses), then retry.' },
  'store.path': { class: 'user', when: 'A path leaves the object store.', next: 'Use a plain relative path below the data root.' },
  'store.region': { class: 'user', when: 'The bucket is in another region than the one asked, or no region is set.', next: 'Set ALMANAC_S3_REGION to the region of the bucket.' },
  'store.throttled': { class: 'platform', when: 'S3 asked to slow down for longer than its client tries again.', next: 'Nothing: stages retry by themselves. If it stays, run fewer places at once.' },
  'store.unconditional': { class: 'user', when: 'The S3 service of the store does not honour the conditions of requests (`If-None-Match`, `If-Match`): of two writers both would win.', next: 'Use AWS S3, or name a service that honours them in ALMANAC_S3_ENDPOINT; `almanac doctor` tries it.' },
  'store.unreachable': { class: 'platform', when: 'S3 does not answer, or answers with errors of its own.', next: '`almanac doctor` asks it again; stages retry by themselves for 30 minutes.' },
  'store.unwritable': { class: 'resource', when: 'A folder of the object store or of the spill may not be written to, is on a read-only disk, or is no folder.', next: 'Give the workers’ user the folder the message names, `almanac doctor`, then retry.' },
  'test.invalid': { class: 'user', when: 'A case in `pipelines/ID/tests` is not one: its YAML, a stage, a dataset or a column.', next: 'Correct the file at the line the message names.' },
  'undo.impossible': { class: 'refused', when: 'What was done last cannot be taken back, or nothing was done that could be.', next: 'Use the command the message names; `almanac audit RUN` lists what was done.' },
  'window.invalid': { class: 'user', when: 'A window key is not of the pipeline’s kind.', next: 'Use a key like the one the message shows.' },
  'window.open': { class: 'refused', when: 'The window is not over yet, so its data are not complete.', next: 'Run it after the instant the message names.' },
} as const satisfies Record<string, CodeEntry>;

export type FailureCode = keyof typeof CODES;

/** Whether a stage that failed so waits for it to pass, as long as patience lasts. */
export function waits(code: FailureCode): boolean {
  const entry: CodeEntry = CODES[code];
  return entry.waits === true;
}

/** A failure with a code. `next` is the exact step for this case: a command or an edit. */
export class AlmanacError extends Error {
  override readonly name = 'AlmanacError';
  readonly code: FailureCode;
  readonly next: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: FailureCode, message: string, options: { next: string; details?: Record<string, unknown>; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.next = options.next;
    this.details = options.details ?? {};
  }

  get class(): FailureClass {
    return CODES[this.code].class;
  }

  get exitCode(): number {
    return FAILURE_CLASSES[this.class].exitCode;
  }
}

/** The failure as plain data, of bounded size: what ledger rows, `--json` and workflow failures carry. */
export interface FailureInfo {
  readonly code: FailureCode;
  readonly class: FailureClass;
  readonly message: string;
  readonly next: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export function failureInfo(error: AlmanacError): FailureInfo {
  return boundedFailure({ code: error.code, class: error.class, message: error.message, next: error.next, details: error.details });
}
