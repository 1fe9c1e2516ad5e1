import { hasSize } from '../quality/constraints';
import type { CheckDeclaration, SuiteSpec } from '../types';

/** Channels and countries that the reports know; another one is no fault of its row, so it only warns. */
const CHANNELS = [
  'Affiliates',
  'Apple Search Ads',
  'Display',
  'Email',
  'Facebook Installs',
  'Facebook Messenger Installs',
  'Google Ads (unknown)',
  'Google Ads ACI',
  'Google Ads Search',
  'Google Ads UAC',
  'Google Organic Search',
  'Google Search - App Extensions',
  'Imported Devices',
  'Instagram Installs',
  'Mobile Pre-load',
  'Off-Facebook Installs',
  'Organic',
  'Partnerships',
  'Referral',
  'Referral - Insight Card',
  'Referral - More Menu',
  'Snapchat Installs',
  'Student Campaign 2019',
  'Tiktok for business',
  'Typeform',
  'Website',
];
const COUNTRIES = ['ALL', 'FR', 'GB', 'IT'];

/** The ISO week of `start_date` as `yyyy_ww`: a week belongs to the year of its Thursday, and counts the Thursdays of that year. */
const THURSDAY = `(date_trunc('week', start_date) + interval '3' day)`;
const ISO_WEEK = `concat(lpad(cast(year(${THURSDAY}) as string), 4, '0'), '_', lpad(cast(cast(floor((dayofyear(${THURSDAY}) + 6) / 7) as int) as string), 2, '0'))`;
/** Every digit a nine: no two engines agree on the name of a regular expression that matches all of a text. */
const HAS_FORM = `coalesce(translate(year_week, '012345678', '999999999') = '9999_99', false)`;

const ROW = ['name', 'start_date', 'country', 'os_name'];
const list = (values: readonly string[]): string => values.map((value) => `'${value}'`).join(', ');

function rowCheck(id: string, predicate: string, why: string, shown: string): CheckDeclaration {
  return {
    id,
    dataset: 'acquisitions',
    measure: { metric: 'rows-where', predicate },
    fail: { max: 0 },
    sample: [...ROW, shown],
    why,
  };
}

function labelCheck(id: string, predicate: string, band: 'warn' | 'fail', why: string): CheckDeclaration {
  return {
    id,
    dataset: 'acquisition_labels',
    measure: { metric: 'rows-where', predicate },
    [band]: { max: 0 },
    sample: ['label', 'coupled'],
    why,
  };
}

/** Raw → staging: what the share is computed from keeps the form it is read by. */
export const landedSuite: SuiteSpec = {
  checks: [
    {
      id: 'acquisitions-unusable',
      dataset: 'acquisitions',
      measure: { metric: 'quarantine-ratio', stage: 'acquisitions', reasons: ['malformed'] },
      warn: { max: 0 },
      fail: { max: 0.2 },
      why: 'Rows could not be read, so their users are missing from the shares: ask the sender whether the export has changed.',
    },
    // An extract is all there ever was: without rows it is no idle week, and would empty the table that people read.
    {
      id: 'extract-not-empty',
      dataset: 'acquisitions',
      ...hasSize({ min: 1 }),
      why: 'The newest extract holds no rows, so no share can be told: ask the sender for it again.',
    },
    labelCheck(
      'extract-of-this-week',
      `kind = 'extract' and coupled <> 'of this week'`,
      'warn',
      'The newest extract is older than the week, so the week is not in it.',
    ),
    rowCheck('year-week-form', `not ${HAS_FORM}`, 'A week is not written as yyyy_ww, such as 2021_05.', 'year_week'),
    rowCheck('year-week-of-date', `${HAS_FORM} and year_week <> ${ISO_WEEK}`, 'A week is not the ISO week of its start_date.', 'year_week'),
    rowCheck('value-not-negative', 'value < 0', 'A channel gained less than no users.', 'value'),
    {
      id: 'value-missing',
      dataset: 'acquisitions',
      measure: { metric: 'null-count', column: 'value' },
      warn: { max: 0 },
      sample: ROW,
      why: 'Rows have no value; they count as 0.',
    },
    labelCheck(
      'names-known',
      `kind = 'name' and label not in (${list(CHANNELS)})`,
      'warn',
      'A channel has a name that the reports do not know: a new one, or a misspelt one.',
    ),
    labelCheck(
      'countries-known',
      `kind = 'country' and label not in (${list(COUNTRIES)})`,
      'warn',
      'A country is new to the reports: it gets shares of its own.',
    ),
    labelCheck('name-has-one-token', `kind = 'name' and tokens <> 1`, 'fail', 'A channel has more than one token.'),
    labelCheck(
      'name-has-one-subtracker-flag',
      `kind = 'name' and subtracker_values <> 1`,
      'fail',
      'A channel has subtrackers in some rows and none in others.',
    ),
    labelCheck('token-has-one-name', `kind = 'token' and names <> 1`, 'warn', 'Channels of different names share a token.'),
  ],
};

const KEY = ['year', 'week', 'country'];

/** Staging → final: the table is whole and its shares are shares. */
export const shareSuite: SuiteSpec = {
  checks: [
    {
      id: 'share-key-unique',
      dataset: 'organic_share',
      measure: { metric: 'duplicate-keys', key: KEY },
      fail: { max: 0 },
      why: 'A country has two shares for one week, so a reader would see one of them at random.',
    },
    {
      id: 'shares-not-empty',
      dataset: 'organic_share',
      ...hasSize({ min: 1 }),
      why: 'No week of the extract has a row of all systems and one country, so every share that is live would be gone.',
    },
    ...KEY.map((column): CheckDeclaration => ({
      id: `share-${column}-complete`,
      dataset: 'organic_share',
      measure: { metric: 'null-count', column },
      fail: { max: 0 },
      why: `A share has no ${column}, so nobody can look it up.`,
    })),
    {
      id: 'no-week-missing',
      dataset: 'missing_shares',
      measure: { metric: 'rows-where', predicate: 'country is not null' },
      fail: { max: 0 },
      why: 'A country has no row for a week between the first and the last.',
    },
    {
      id: 'share-within-bounds',
      dataset: 'organic_share',
      measure: { metric: 'rows-where', predicate: 'not coalesce(share_organic_p4w between 0 and 1, true)' },
      fail: { max: 0 },
      sample: [...KEY, 'share_organic_p4w'],
      why: 'A share is below 0 or above 1.',
    },
    // As drift from level warns: from four weeks and a score of 3.5 on. compare-weeks.sql says why it is not measured by the gate itself.
    {
      id: 'share-shift',
      dataset: 'share_shifts',
      measure: { metric: 'rows-where', predicate: 'weeks >= 4 and score >= 3.5' },
      warn: { max: 0 },
      sample: ['country', 'year', 'week', 'share', 'level', 'score'],
      why: "A country's newest share is unlike those of the eight weeks before.",
    },
  ],
};
