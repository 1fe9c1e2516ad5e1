import { AudienceSql } from '../../../support/audience-sql';
import type { AudienceEvent } from '../../../support/audience-reference';

const DATE = '2026-03-10';

/** Microseconds of a time on that day. */
function at(time: string, date = DATE): number {
  return Date.parse(`${date}T${time}Z`) * 1000;
}

function event(user: string, id: number, time: string, date = DATE): AudienceEvent {
  return { user, id, at: at(time, date) };
}

describe('the report of one day', () => {
  let sql: AudienceSql;
  beforeEach(async () => {
    sql = await AudienceSql.open(1);
    await sql.reference(
      'segments',
      new Map([
        [1, ['women', 'sex']],
        [2, ['18 to 24', 'age']],
        [3, ['25 to 34', 'age']],
      ]),
    );
    await sql.reference(
      'pixels',
      new Map([
        [10, ['home', 'shop']],
        [20, ['basket', 'shop']],
        [30, ['thanks', 'shop']],
      ]),
    );
  });
  afterEach(() => sql.close());

  it('leaves 7 rows of a user with 3 segments and 3 pixels when two pairs have the visit before the segment', async () => {
    await sql.land('adds', DATE, [event('u', 1, '08:00:00'), event('u', 2, '09:00:00'), event('u', 3, '11:00:00')]);
    await sql.land('fires', DATE, [event('u', 10, '08:30:00'), event('u', 20, '12:00:00'), event('u', 30, '13:00:00')]);
    await sql.update(DATE);
    await sql.report(DATE);
    const pairs = (await sql.rows()).map(({ pixel, segment }) => `${pixel}/${segment}`).sort();
    expect(pairs).toEqual(['10/1', '20/1', '20/2', '20/3', '30/1', '30/2', '30/3']);
  });

  it('counts nobody whose segment came at the very instant of the first visit', async () => {
    await sql.land('adds', DATE, [event('u', 1, '08:00:00')]);
    await sql.land('fires', DATE, [event('u', 10, '08:00:00'), event('u', 10, '09:00:00')]);
    await sql.update(DATE);
    await sql.report(DATE);
    expect(await sql.rows()).toEqual([]);
  });

  it('compares the share of a segment among a pixel’s users with its share of its group', async () => {
    // Age is known of a, b, c and d; pixel 10 has a, b and c, and two of these three are 18 to 24, of all only those two.
    await sql.land('adds', DATE, [
      event('a', 2, '08:00:00'),
      event('b', 2, '08:00:00'),
      event('c', 3, '08:00:00'),
      event('d', 3, '08:00:00'),
    ]);
    await sql.land('fires', DATE, [
      event('a', 10, '09:00:00'),
      event('b', 10, '09:00:00'),
      event('c', 10, '09:00:00'),
      event('e', 10, '09:00:00'),
    ]);
    await sql.update(DATE);
    await sql.report(DATE);
    const young = (await sql.rows()).find(({ segment }) => segment === 2);
    expect(young).toMatchObject({
      pixel: 10,
      group: 'age',
      usersSegmentPixel: 2,
      usersGroupPixel: 3,
      usersSegment: 2,
      usersGroup: 4,
      asOf: DATE,
    });
    expect(young?.index).toBeCloseTo((100 * (2 / 3)) / (2 / 4), 9);
    // Wilson's interval of 2 out of 3, as tables give it, is 0.2077 to 0.9385.
    expect(young?.low).toBeCloseTo(200 * 0.2077, 1);
    expect(young?.high).toBeCloseTo(200 * 0.9385, 1);
  });

  it('names ids the references do not know, whose group is a group like others', async () => {
    await sql.land('adds', DATE, [event('a', 98, '08:00:00'), event('a', 99, '08:00:00'), event('b', 99, '08:00:00')]);
    await sql.land('fires', DATE, [event('a', 70, '09:00:00')]);
    await sql.update(DATE);
    await sql.report(DATE);
    expect(await sql.rows()).toMatchObject([
      { pixel: 70, group: '(unknown)', usersGroupPixel: 1, usersGroup: 2 },
      { pixel: 70, group: '(unknown)', usersGroupPixel: 1, usersGroup: 2 },
    ]);
    const segments = await sql.names('audience_segments');
    expect(segments.get(98)).toEqual(['(unknown 98)', '(unknown)']);
    expect(segments.get(1)).toEqual(['women', 'sex']);
    expect((await sql.names('audience_pixels')).get(70)).toEqual(['(unknown 70)', '(unknown)']);
  });

  it('is empty, and so is the state, 30 days after the last event', async () => {
    await sql.land('adds', DATE, [event('u', 1, '23:59:59.999')]);
    await sql.land('fires', DATE, [event('u', 10, '23:59:59.999')]);
    for (let day = 0; day < 31; day++) {
      expect(await sql.memberships()).toHaveLength(day === 0 ? 0 : 1);
      await sql.update(new Date(Date.parse(`${DATE}T00:00:00Z`) + day * 86_400_000).toISOString().slice(0, 10));
    }
    expect([await sql.memberships(), await sql.visits()]).toEqual([[], []]);
  });
});
